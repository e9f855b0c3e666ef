import { FluxError } from '../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'
import type { Manifest, ManifestFile } from './document.ts'
import { type Path, put, UnreadableNode } from './node.ts'
import { readPart, type YamlDocument } from './read-part.ts'
import { applySplices, planRemove, planSet, type Splice, Unplannable } from './splice.ts'
import { type Part, splitStream } from './stream.ts'

/**
 * Edits of manifests: prove or refuse. Each is a splice in the text as it stands; afterwards the document is read
 * again, and exactly the path that was named may differ, in exactly that document. Where that cannot be shown,
 * nothing is changed. So a value that is shared through an anchor or hidden by a merge stays as it is, and the
 * person reads where.
 */
export interface Edit {
  /** within the manifest */
  path: Path
  /** `undefined` removes the key, and its map where that was the last one */
  to: string | undefined
}

/**
 * Make edits one after another.
 *
 * @param file freshly parsed; `manifest` is one of its manifests
 * @returns the whole file's new text; the same text where every value is there already
 * @throws FluxError `MANIFEST_EDIT_UNPROVEN`
 */
export function editManifest(file: ManifestFile, manifest: Manifest, edits: readonly Edit[]): string {
  const { part, document, path: within } = manifest.place
  let source = file.text.slice(part.start, part.end)
  for (const { path, to } of edits) {
    try {
      source = editPart(source, document, [...within, ...path], to)
    } catch (cause) {
      if (!(cause instanceof Unplannable)) throw cause
      throw new FluxError('MANIFEST_EDIT_UNPROVEN', {
        what: `${file.path}:${manifest.line}: cannot change ${formatPath(path)} of ${manifest.id} safely`,
        why: `${sentence(cause.message)} Nothing was changed.`,
        next: 'Make this change by hand, or write the value out where it is shared.',
        cause,
      })
    }
  }
  return replacePart(file.text, part, source)
}

function editPart(source: string, document: number, path: Path, to: string | undefined): string {
  const before = readPart(source)
  const value = before[document]?.value
  if (value === undefined) throw new Unplannable('the document is not where it was')
  if (valueAt(value, ...path) === to) return source

  const expected = changed(value, path, to)
  let edited = source
  let documents = before
  // equal keys are removed one by one
  for (let found = valueAt(value, ...path); ; found = valueAt(documents[document]?.value, ...path)) {
    if (documents !== before && (to !== undefined || found === undefined)) break
    const root = documents[document]?.root
    if (!root) throw new Unplannable('the document would be lost')
    const plan: Splice[] = to === undefined ? planRemove(edited, root, path) : planSet(edited, root, path, to)
    edited = applySplices(edited, plan)
    documents = readAgain(edited)
  }
  prove(edited, documents, before, document, expected)
  return edited
}

function prove(
  edited: string,
  after: readonly YamlDocument[],
  before: readonly YamlDocument[],
  document: number,
  expected: JsonValue,
): void {
  if (splitStream(edited).length !== 1 || after.length !== before.length) {
    throw new Unplannable('the file would have another number of documents')
  }
  after.forEach(({ value }, index) => {
    if (!isSame(value, index === document ? expected : (before[index]?.value ?? null))) {
      throw new Unplannable('something else would change as well: the value is shared, merged or repeated')
    }
  })
}

function readAgain(source: string): YamlDocument[] {
  try {
    return readPart(source)
  } catch (cause) {
    if (cause instanceof UnreadableNode) throw new Unplannable(`the file could not be read: ${cause.message}`)
    throw cause
  }
}

/** The value as it should be: a copy along the path, all else shared. */
function changed(value: JsonValue, [step, ...rest]: Path, to: string | undefined): JsonValue {
  if (Array.isArray(value))
    return value.map((item, index) => (index === step ? changed(item, rest, to) : item))
  if (value !== null && !isJsonObject(value)) throw new Unplannable('it does not stand in a map')
  const copy: JsonObject = {}
  for (const [key, held] of Object.entries(value ?? {})) put(copy, key, held)
  const key = String(step)
  const inner = Object.hasOwn(copy, key) ? (copy[key] ?? null) : null
  if (rest.length > 0) {
    const next = changed(inner, rest, to)
    const isEmptied = to === undefined && rest.length === 1 && Object.keys(next ?? {}).length === 0
    if (isEmptied) delete copy[key]
    else put(copy, key, next)
  } else if (to === undefined) delete copy[key]
  else put(copy, key, to)
  return copy
}

function isSame(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    return (
      Array.isArray(b) && a.length === b.length && a.every((item, index) => isSame(item, b[index] ?? null))
    )
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key] ?? null, b[key] ?? null))
  )
}

function replacePart(text: string, { start, end }: Part, source: string): string {
  return text.slice(0, start) + source + text.slice(end)
}

/** `spec.template.spec.containers[0].image`, with odd keys in brackets. */
function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`
      if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) return `[${JSON.stringify(step)}]`
      return index === 0 ? step : `.${step}`
    })
    .join('')
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`
}
