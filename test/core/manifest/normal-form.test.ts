import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/json.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { normalForm } from '../../../src/core/manifest/normal-form.ts'

/** Printed by gopkg.in/yaml.v2 v2.4.0, whose text v1 hashes. */
const vectors: { value: JsonObject; text: string }[] = JSON.parse(
  readFileSync('test/fixtures/manifests/normal-forms.json', 'utf8'),
)
const checksum = (value: JsonObject) => createHash('sha1').update(normalForm(value)).digest('hex')

test.each(vectors)('prints $value as v1 does', ({ value, text }) => {
  expect(normalForm(value)).toBe(text)
})

test('gives the checksum of the specification', () => {
  const { manifests } = parseManifestFile(
    'podinfo.yaml',
    `kind: Deployment # in another order
apiVersion: "apps/v1"
spec: {replicas: 0x1}
metadata:
    namespace: demo
    name: podinfo
    labels: {app: podinfo}
`,
  )

  expect(manifests.map(({ value }) => checksum(value))).toEqual(['390a2d27c4fec7399043b4eca70f0114580225e9'])
})

test.each([
  { file: 'list', id: 'demo:deployment/list-a', sha1: 'f11377bb15e203c97bc79de2bcd28c3d844f95ce' },
  { file: 'podinfo', id: 'demo:deployment/podinfo', sha1: '5680f90f435747137da82e156a16630df25220b2' },
  { file: 'namespaces', id: '<cluster>:namespace/demo', sha1: '35db65c41bba48ecb02fb665a7416ac1f662be3b' },
  { file: 'config', id: 'prod:secret/settings', sha1: '8988c9b85130fc6df1a3885cc4e717fa696aa44d' },
])('gives $id the checksum that v1 gave it', ({ file, id, sha1 }) => {
  const path = `test/fixtures/manifests/world/${file}.yaml`
  const { manifests } = parseManifestFile(path, readFileSync(path))

  expect(manifests.filter((manifest) => manifest.id === id).map(({ value }) => checksum(value))).toEqual([
    sha1,
  ])
})
