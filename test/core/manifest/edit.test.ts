import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FluxError } from '../../../src/core/errors.ts'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import { type JsonObject, type JsonValue, valueAt } from '../../../src/core/json.ts'
import { type Manifest, type ManifestFile, parseManifestFile } from '../../../src/core/manifest/document.ts'
import { setImage } from '../../../src/core/manifest/set-image.ts'
import { setPolicies } from '../../../src/core/manifest/set-policy.ts'
import { imageTags, policyValues, printedManifests } from './yaml-arbitrary.ts'

const read = (text: string) => {
  const file = parseManifestFile('app.yaml', text)
  const manifest = file.manifests.find(({ kind }) => kind === 'Deployment')
  if (!manifest) throw new Error(`no Deployment in ${text}`)
  return { file, manifest }
}

/** Make an edit; `undefined` where it was refused. */
function attempt(text: string, edit: (file: ManifestFile, manifest: Manifest) => string): string | undefined {
  const { file, manifest } = read(text)
  try {
    return edit(file, manifest)
  } catch (thrown) {
    if (thrown instanceof FluxError && thrown.code === 'MANIFEST_EDIT_UNPROVEN') return undefined
    throw thrown
  }
}

/** Lines that are in one text only: the edit's diff. */
function difference(before: string, after: string) {
  const a = before.split('\n')
  const b = after.split('\n')
  let top = 0
  while (top < a.length && top < b.length && a[top] === b[top]) top++
  let bottom = 0
  while (bottom < a.length - top && bottom < b.length - top && a.at(-1 - bottom) === b.at(-1 - bottom))
    bottom++
  return { removed: a.slice(top, a.length - bottom), added: b.slice(top, b.length - bottom) }
}

const comments = (text: string) => text.match(/# c\d+/g) ?? []

test('what is printed in any style is read as it was meant', () => {
  fc.assert(
    fc.property(printedManifests(), ({ text, value }) => {
      const { file, manifest } = read(text)

      expect(file.faults).toEqual([])
      expect(manifest.value).toEqual(value)
    }),
  )
})

test('a new image changes that image and nothing else, or is refused', () => {
  fc.assert(
    fc.property(printedManifests(), imageTags(), fc.nat(), ({ text, value, tricky }, tag, which) => {
      const containers = valueAt(value, 'spec', 'template', 'spec', 'containers') as JsonObject[]
      const index = which % containers.length
      const name = containers[index]?.name as string
      const image = parseImageRef(`example/${name}:${tag}`)
      const set = (file: ManifestFile, manifest: Manifest) => setImage(file, manifest, name, image)

      const edited = attempt(text, set)

      if (edited === undefined) {
        expect(tricky).toBe(true)
        return
      }
      const expected = structuredClone(value)
      const container = valueAt(expected, 'spec', 'template', 'spec', 'containers', index) as JsonObject
      container.image = `example/${name}:${tag}`
      expect(read(edited).manifest.value).toEqual(expected)
      expect(comments(edited)).toEqual(comments(text))
      const { removed, added } = difference(text, edited)
      expect([removed.length <= 2, added.length === Math.min(removed.length, 1)]).toEqual([true, true])
      expect(attempt(edited, set)).toBe(edited)
    }),
    { numRuns: 300 },
  )
})

test('new policies change those annotations and nothing else, or are refused', () => {
  const policies = fc.constantFrom('automated', 'locked', 'locked_msg', 'tag.main', 'tag.sidecar')
  const changes = fc.dictionary(policies, fc.option(policyValues(), { nil: undefined }), {
    minKeys: 1,
    maxKeys: 3,
  })
  fc.assert(
    fc.property(printedManifests(), changes, ({ text, value, tricky }, wanted) => {
      const set = (file: ManifestFile, manifest: Manifest) =>
        setPolicies(file, manifest, new Map(Object.entries(wanted)))

      const edited = attempt(text, set)

      if (edited === undefined) {
        expect(tricky).toBe(true)
        return
      }
      const after = read(edited).manifest.value
      expect(annotationsOf(after)).toEqual(expectedAnnotations(value, wanted))
      expect(withoutAnnotations(after)).toEqual(withoutAnnotations(value))
      expect(attempt(edited, set)).toBe(edited)
      // comments go only with the lines that go
      const kept = new Set(comments(edited))
      const lost = comments(text).filter((comment) => !kept.has(comment))
      const { removed } = difference(text, edited)
      expect(lost.filter((comment) => !removed.join('\n').includes(comment))).toEqual([])
      const eol = text.includes('\r\n') ? '\r\n' : '\n'
      expect(edited.split(eol).every((line) => !/[\r\n]/.test(line))).toBe(true)
    }),
    { numRuns: 300 },
  )
})

function annotationsOf(value: JsonObject): JsonObject {
  return (valueAt(value, 'metadata', 'annotations') ?? {}) as JsonObject
}

function withoutAnnotations(value: JsonObject): JsonValue {
  const copy = structuredClone(value)
  delete (copy.metadata as JsonObject).annotations
  return copy
}

function expectedAnnotations(value: JsonObject, wanted: Record<string, string | undefined>): JsonObject {
  const expected = { ...annotationsOf(value) }
  for (const [policy, to] of Object.entries(wanted)) {
    const keys = [`fluxcd.io/${policy}`, `flux.weave.works/${policy}`]
    const key = keys.find((candidate) => Object.hasOwn(expected, candidate)) ?? keys[0]
    if (to !== undefined && key) expected[key] = to
    else for (const candidate of keys) delete expected[candidate]
  }
  return expected
}
