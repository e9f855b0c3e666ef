import { type ErrorCode, type ErrorText, FluxError } from '../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { type ResourceId, resourceIdOf } from '../resource/id.ts'
import {
  follow,
  maxDepth,
  maxExpandedNodes,
  type Node,
  type NodeFault,
  type Path,
  UnreadableNode,
} from './node.ts'
import { readPart } from './read-part.ts'
import { Lines } from './scan.ts'
import { type Part, splitStream } from './stream.ts'

/**
 * Manifests: Kubernetes objects as people write them down, in YAML files of one or many documents.
 *
 * Meaning is what kubectl reads (`scalar.ts`, `node.ts`). Text is never printed from a parsed tree: edits
 * (`edit.ts`) are splices, each proved by reading the new text again. Follows `spec/flux-v1/resources.md` §7 and §8
 * and the rows "Manifests" of `spec/decisions.md`. Left out: decryption, patches, generators.
 */

/** A file as it was read. What cannot be read in it is a fault of its document only. */
export interface ManifestFile {
  /** relative to the repository root */
  path: string
  /** with its byte order mark, where it has one */
  text: string
  /** in file order; the items of lists in place of the lists */
  manifests: readonly Manifest[]
  /** each begins with `path:line:column: ` */
  faults: readonly FluxError[]
}

/** One object of a file. */
export interface Manifest {
  /** with the namespace as written, or `<cluster>` where none is */
  id: ResourceId
  /** empty where the document has none */
  apiVersion: string
  /** as written, such as `Deployment` */
  kind: string
  /** empty where the document has none, as in a `kustomization.yaml` */
  name: string
  namespace: string | undefined
  /** as Kubernetes reads it */
  value: JsonObject
  file: string
  /** where it begins, from 1 */
  line: number
  /** where an edit finds it again */
  place: ManifestPlace
}

interface ManifestPlace {
  /** the part of the file it stands in */
  part: Part
  /** which document of the part, from 0 */
  document: number
  /** where in the document: empty, or such as `['items', 2]` in a list */
  path: Path
}

const maxFileBytes = 4 * 1024 * 1024
const maxDocumentBytes = 3 * 1024 * 1024
/** each takes its time, so that a file of nothing but `---` would stop everything else for a minute */
const maxDocuments = 20_000

/** Read a file. Never throws: what is wrong with it stands in its `faults`. */
export function parseManifestFile(path: string, content: string | Uint8Array): ManifestFile {
  const file = { path, text: '', manifests: [] as Manifest[], faults: [] as FluxError[] }
  const fault = (code: ErrorCode, at: string, text: ErrorText) =>
    file.faults.push(new FluxError(code, { ...text, what: `${path}:${at}: ${text.what}` }))

  if (typeof content === 'string') file.text = content
  else {
    try {
      file.text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
    } catch (cause) {
      fault('MANIFEST_SYNTAX', '1:1', {
        what: 'the file is not UTF-8 text',
        next: 'Save it as UTF-8, or keep it out of the paths that are synced.',
        cause,
      })
      return file
    }
  }
  const { text } = file
  if (sizeBytes(text) > maxFileBytes) {
    fault('MANIFEST_TOO_LARGE', '1:1', tooLarge('the file', maxFileBytes))
    return file
  }

  const lines = new Lines(text)
  const place = (offset: number) => {
    const { line, column } = lines.at(offset)
    return `${line}:${column}`
  }
  const parts = splitStream(text)
  if (parts.length > maxDocuments) {
    fault('MANIFEST_TOO_MANY', '1:1', {
      what: `the file has more than ${maxDocuments} documents`,
      next: 'Split it, or keep it out of the paths that are synced.',
    })
    return file
  }
  for (const part of parts) {
    const source = text.slice(part.start, part.end)
    try {
      if (sizeBytes(source) > maxDocumentBytes) {
        fault('MANIFEST_TOO_LARGE', place(part.start), tooLarge('the document', maxDocumentBytes))
        continue
      }
      readPart(source).forEach(({ root, value }, document) => {
        const collect = (at: Node, item: JsonValue, within: Path): void => {
          const offset = part.start + at.start
          const complain = (what: string, next: string) =>
            fault('MANIFEST_INVALID', place(offset), { what, next })
          const found = readObject(item, within, complain)
          if (found === undefined) return
          if (Array.isArray(found)) {
            found.forEach((inner, index) => {
              const path = ['items', index]
              collect(follow(at, path) ?? at, inner, [...within, ...path])
            })
          } else {
            const { line } = lines.at(offset)
            file.manifests.push({ ...found, file: path, line, place: { part, document, path: within } })
          }
        }
        collect(root, value, [])
      })
    } catch (cause) {
      if (!(cause instanceof UnreadableNode)) throw cause
      const offset = part.start + cause.offset
      fault(codes[cause.fault], place(offset), {
        what: cause.message,
        next: adviceFor(cause, lineAt(source, cause.offset)),
        cause,
      })
    }
  }
  return file
}

const codes: Record<NodeFault, ErrorCode> = {
  syntax: 'MANIFEST_SYNTAX',
  depth: 'MANIFEST_TOO_DEEP',
  aliases: 'MANIFEST_ALIAS_BOMB',
}

/**
 * What a document or a list's item is: an object, the items of a list, or nothing of ours. Complains, and gives
 * nothing, where it is broken.
 */
function readObject(
  value: JsonValue,
  within: Path,
  complain: (what: string, next: string) => void,
): Omit<Manifest, 'file' | 'line' | 'place'> | JsonValue[] | undefined {
  const inList = within.length > 0
  if (value === null && !inList) return undefined
  if (!isJsonObject(value)) {
    const what = Array.isArray(value) ? 'a sequence' : value === null ? 'nothing' : 'plain text'
    complain(
      `${inList ? 'an item of a list' : 'a document'} must be a map, not ${what}`,
      inList
        ? 'Give each item apiVersion, kind and metadata.'
        : 'Begin with apiVersion and kind, or keep the file out of the paths that are synced.',
    )
    return undefined
  }
  const { apiVersion, kind, items } = value
  if (kind === undefined || kind === null || kind === '') {
    if (inList) complain('an item of a list has no kind', 'Give each item apiVersion, kind and metadata.')
    return undefined
  }
  if (typeof kind !== 'string') {
    complain('kind must be text', 'Write kind as a word, such as Deployment.')
    return undefined
  }
  const metadata = value.metadata ?? {}
  if (!isJsonObject(metadata)) {
    complain('metadata must be a map', 'Indent name, namespace and the like below metadata.')
    return undefined
  }
  const name = scalarText(metadata.name)
  if (kind.endsWith('List') && (items !== undefined || name === '')) {
    if (Array.isArray(items)) return items
    if (items === undefined || items === null) return undefined
    complain(`the items of a ${kind} must be a sequence`, 'Begin each item with a dash.')
    return undefined
  }
  const namespace = scalarText(metadata.namespace)
  if (name === undefined || namespace === undefined) {
    complain(
      `${name === undefined ? 'metadata.name' : 'metadata.namespace'} must be text`,
      'Write it as text.',
    )
    return undefined
  }
  return {
    id: resourceIdOf(namespace, kind, name),
    apiVersion: typeof apiVersion === 'string' ? apiVersion : '',
    kind,
    name,
    namespace: namespace || undefined,
    value,
  }
}

/** A scalar as text, empty where there is none; `undefined` for anything else. */
function scalarText(value: JsonValue | undefined): string | undefined {
  if (value === undefined || value === null) return ''
  return typeof value === 'object' ? undefined : String(value)
}

function tooLarge(what: string, limitBytes: number): ErrorText {
  return {
    what: `${what} is larger than ${limitBytes / 1024 / 1024} MiB`,
    next: 'Split it, or keep it out of the paths that are synced.',
  }
}

function adviceFor({ fault, message }: UnreadableNode, line: string): string {
  if (fault === 'depth') return `Flatten it: ${maxDepth} levels are read at most.`
  if (fault === 'aliases')
    return `Write the values out: aliases may stand for ${maxExpandedNodes} nodes at most.`
  if (/^ *\t/.test(line) || message.includes('tab ')) return 'Indent with spaces: YAML allows no tabs there.'
  if (line.includes('{{')) {
    return (
      'This looks like a template. A chart is left out when its directory holds both Chart.yaml and values.yaml; ' +
      'keep other templates out of the paths that are synced.'
    )
  }
  return 'Check the indentation and the quotes on this line and the one above.'
}

function lineAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  return text.slice(start, end < 0 ? text.length : end)
}

/** Bytes of a text in UTF-8; counted only where they matter. */
function sizeBytes(text: string): number {
  return text.length * 3 <= maxDocumentBytes ? text.length : new TextEncoder().encode(text).length
}
