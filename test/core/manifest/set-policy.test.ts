import { describe, expect, test } from 'vitest'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { setPolicies } from '../../../src/core/manifest/set-policy.ts'
import { planPolicyChanges } from '../../../src/core/policy/policy.ts'

const document = (annotations: readonly string[]) => `---
apiVersion: extensions/v1beta1
kind: Deployment
metadata: # comment really close to the war zone
  name: nginx
${annotations.length > 0 ? `  annotations:\n${annotations.map((line) => `    ${line}\n`).join('')}` : ''}spec:
  replicas: 1
  template:
    metadata: # comment2
      labels:
        name: nginx
    spec:
      containers:
      - image: nginx  # These keys are purposefully un-sorted.
        name: nginx   # And these comments are testing comments.
        ports:
        - containerPort: 80
`

function edit(text: string, changes: ReadonlyMap<string, string | undefined>): string {
  const file = parseManifestFile('nginx.yaml', text)
  const [manifest] = file.manifests
  if (!manifest) throw new Error('no manifest')
  return setPolicies(file, manifest, changes)
}

const scrape = "prometheus.io/scrape: 'false'"
const automated = "fluxcd.io/automated: 'true'"

test.each<{ before: string[]; add?: Record<string, string>; remove?: string[]; after: string[] }>([
  { before: [scrape], add: { automated: 'true' }, after: [scrape, automated] },
  {
    before: ["flux.weave.works/automated: 'true'"],
    add: { automated: 'true' },
    after: ["flux.weave.works/automated: 'true'"],
  },
  {
    before: ["flux.weave.works/automated: 'true'", scrape],
    add: { automated: 'true' },
    after: ["flux.weave.works/automated: 'true'", scrape],
  },
  { before: [], add: { automated: 'true' }, after: [automated] },
  {
    before: ["flux.weave.works/automated: 'true'", scrape],
    add: { locked: 'true' },
    remove: ['automated'],
    after: [scrape, "fluxcd.io/locked: 'true'"],
  },
  { before: [], add: { locked: 'true' }, remove: ['locked'], after: [] },
  {
    before: ['fluxcd.io/automated: true', 'prometheus.io/scrape: false'],
    remove: ['automated'],
    after: ['prometheus.io/scrape: false'],
  },
  { before: ['fluxcd.io/automated: true'], remove: ['automated'], after: [] },
  { before: ['fluxcd.io/automated: true'], add: { automated: 'true' }, after: [automated] },
  { before: [], remove: ['automated'], after: [] },
  { before: [scrape], remove: ['automated'], after: [scrape] },
  { before: ['fluxcd.io/locked_msg: |-', '  first', '  second'], remove: ['locked_msg'], after: [] },
  {
    before: [automated, 'fluxcd.io/locked_msg: |-', '  first', '', '  second', scrape],
    remove: ['locked_msg'],
    after: [automated, scrape],
  },
  { before: [], add: { 'tag.nginx': 'glob:*' }, after: ['fluxcd.io/tag.nginx: glob:*'] },
  { before: [], add: { 'tag.nginx': 'foo' }, after: ['fluxcd.io/tag.nginx: foo'] },
  { before: [], add: { 'tag.nginx': 'semver:*' }, after: ['fluxcd.io/tag.nginx: semver:*'] },
  { before: [], add: { 'tag.nginx': 'semver:>=1.0, <2' }, after: ['fluxcd.io/tag.nginx: semver:>=1.0, <2'] },
  { before: [], add: { 'tag.nginx': 'regexp:(.*?)' }, after: ['fluxcd.io/tag.nginx: regexp:(.*?)'] },
  {
    before: ['filter.fluxcd.io/nginx: glob:*'],
    add: { 'tag.nginx': 'glob:*' },
    after: ['filter.fluxcd.io/nginx: glob:*'],
  },
  { before: [], add: { tag_all: 'semver:*' }, after: ['fluxcd.io/tag.nginx: semver:*'] },
  {
    before: ["flux.weave.works/locked: 'true'", "fluxcd.io/locked: 'true'", scrape],
    remove: ['locked'],
    after: [scrape],
  },
  {
    before: [automated, '# why it is locked', "fluxcd.io/locked: 'true' # since May", '# below'],
    remove: ['locked'],
    after: [automated, '# why it is locked', '# below'],
  },
])('$before with $add without $remove is $after', ({ before, add, remove, after }) => {
  const update = {
    add: new Map(Object.entries(add ?? {})),
    remove: new Map((remove ?? []).map((policy) => [policy, 'true'])),
  }

  const changes = planPolicyChanges(update, ['nginx'])

  expect(edit(document(before), changes)).toBe(document(after))
})

describe('how new values are written', () => {
  test.each([
    { value: 'true', written: "'true'" },
    { value: '1.10', written: "'1.10'" },
    { value: '1234567', written: "'1234567'" },
    { value: 'no', written: "'no'" },
    { value: 'hold: see the ticket # 12', written: "'hold: see the ticket # 12'" },
    { value: 'World User <world@example.com>', written: 'World User <world@example.com>' },
    { value: 'first line\nsecond: line', written: '"first line\\nsecond: line"' },
    { value: "it's", written: "it's" },
    { value: '- x', written: "'- x'" },
    { value: '-x', written: '-x' },
    { value: ' blank', written: "' blank'" },
    { value: '*', written: "'*'" },
    { value: '"quoted"', written: `'"quoted"'` },
    { value: 'bell\u0007', written: '"bell\\u0007"' },
    { value: 'right\u2028there', written: '"right\\u2028there"' },
    { value: 'é😀', written: 'é😀' },
    { value: 'x'.repeat(200), written: 'x'.repeat(200) },
    { value: 'a = b = c', written: 'a = b = c' },
  ])('$value becomes $written', ({ value, written }) => {
    expect(edit(document([scrape]), new Map([['locked_msg', value]]))).toBe(
      document([scrape, `fluxcd.io/locked_msg: ${written}`]),
    )
  })

  test('the quotes of the old value stay', () => {
    const before = document([`fluxcd.io/locked_msg: "old"`, `fluxcd.io/locked_user: 'old'`])
    const changes = new Map([
      ['locked_msg', 'say "hi"'],
      ['locked_user', "it's me"],
    ])

    expect(edit(before, changes)).toBe(
      document([`fluxcd.io/locked_msg: "say \\"hi\\""`, `fluxcd.io/locked_user: 'it''s me'`]),
    )
  })
})

describe('what cannot be done safely', () => {
  test('a policy that a merge brings cannot be removed', () => {
    const text = `common: &common {fluxcd.io/locked: 'true'}\n${document(['<<: *common', scrape]).slice(4)}`

    expect(() => edit(text, new Map([['locked', undefined]]))).toThrow(
      expect.objectContaining({
        code: 'MANIFEST_EDIT_UNPROVEN',
        what: 'nginx.yaml:1: cannot change metadata.annotations["fluxcd.io/locked"] of <cluster>:deployment/nginx safely',
        why: 'It is merged in from elsewhere with <<. Nothing was changed.',
      }),
    )
    expect(edit(text, new Map([['locked', 'false']]))).toBe(
      text.replace(`${scrape}\n`, `${scrape}\n    fluxcd.io/locked: 'false'\n`),
    )
  })

  test('annotations that something else shares are left alone', () => {
    const text = `kind: A\nmetadata: {name: a, annotations: &all {KEY: VALUE}}\nspec: {annotations: *all}\n`

    expect(() => edit(text, new Map([['locked', 'true']]))).toThrow('safely')
  })
})
