import type { JsonObject, JsonValue } from '../json.ts'
import { keyText, resolvePlain, resolveTagged, UnreadableScalar, yamlTag } from './scalar.ts'

/**
 * A YAML document as written: every node with the span of its text. Spans are half-open, in UTF-16 units from the
 * start of the part; anchors and tags stand in front of a node's span. The parser makes this tree, the meaning is
 * read from it, and edits are planned on it.
 */
export type Node = ScalarNode | MapNode | SequenceNode | AliasNode

interface Span {
  start: number
  end: number
}

export type ScalarStyle = 'plain' | 'single' | 'double' | 'block' | 'empty'

export interface ScalarNode extends Span {
  kind: 'scalar'
  style: ScalarStyle
  /** decoded: quotes, escapes, folding and indentation are gone */
  text: string
  /** in full, such as `tag:yaml.org,2002:str` */
  tag: string | undefined
}

export interface MapEntry {
  key: Node
  value: Node
}

export interface MapNode extends Span {
  kind: 'map'
  flow: boolean
  entries: MapEntry[]
}

interface SequenceNode extends Span {
  kind: 'sequence'
  flow: boolean
  items: Node[]
}

interface AliasNode extends Span {
  kind: 'alias'
  target: Node
}

/** Keys and indices from a value inwards. */
export type Path = readonly (string | number)[]

export const maxDepth = 100
export const maxExpandedNodes = 10_000

export type NodeFault = 'syntax' | 'depth' | 'aliases'

/** A document that cannot be read, and where. The caller makes a `FluxError` of it. */
export class UnreadableNode extends Error {
  readonly fault: NodeFault
  readonly offset: number

  constructor(fault: NodeFault, offset: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.fault = fault
    this.offset = offset
  }
}

/**
 * What a document means to Kubernetes: the last of several equal keys wins, also over what `<<` merges before it
 * (and a merge wins over the keys before it); keys become text.
 *
 * @throws UnreadableNode
 */
export function readNode(node: Node): JsonValue {
  let expanded = 0

  function read(at: Node, depth: number, aliased: boolean): JsonValue {
    if (depth > maxDepth) throw new UnreadableNode('depth', at.start, `nested deeper than ${maxDepth} levels`)
    if (aliased && ++expanded > maxExpandedNodes) {
      throw new UnreadableNode('aliases', at.start, `aliases stand for more than ${maxExpandedNodes} nodes`)
    }
    switch (at.kind) {
      case 'scalar':
        return readScalar(at)
      case 'alias':
        return read(at.target, depth, true)
      case 'sequence':
        return at.items.map((item) => read(item, depth + 1, aliased))
      case 'map': {
        const object: JsonObject = {}
        readMap(at, object, depth, aliased)
        return object
      }
    }
  }

  function readMap(map: MapNode, object: JsonObject, depth: number, aliased: boolean): void {
    for (const { key, value } of map.entries) {
      if (isMergeKey(key)) merge(value, object, depth, aliased)
      else put(object, readKey(key), read(value, depth + 1, aliased))
    }
  }

  function merge(source: Node, object: JsonObject, depth: number, aliased: boolean): void {
    const target = source.kind === 'alias' ? source.target : source
    const isAliased = aliased || source.kind === 'alias'
    if (isAliased && ++expanded > maxExpandedNodes) {
      throw new UnreadableNode(
        'aliases',
        source.start,
        `aliases stand for more than ${maxExpandedNodes} nodes`,
      )
    }
    if (target.kind === 'map') readMap(target, object, depth, isAliased)
    else if (source.kind === 'sequence') {
      // the first of several wins, so it is read last
      for (const item of source.items.toReversed()) {
        if ((item.kind === 'alias' ? item.target : item).kind !== 'map') throw wantsMap(item)
        merge(item, object, depth, aliased)
      }
    } else throw wantsMap(source)
  }

  return read(node, 0, false)
}

/** The text of a key. @throws UnreadableNode for keys that JSON cannot have */
function readKey(node: Node): string {
  const key = node.kind === 'alias' ? node.target : node
  if (key.kind !== 'scalar') throw new UnreadableNode('syntax', node.start, 'a key must be a scalar')
  return translating(node, () => keyText(scalarValue(key)))
}

function isMergeKey(key: Node): boolean {
  if (key.kind !== 'scalar' || key.text !== '<<') return false
  return key.tag === undefined ? key.style === 'plain' : key.tag === `${yamlTag}merge`
}

/** What an alias stands for, or the node itself. */
export function resolveAlias(node: Node): Exclude<Node, AliasNode> {
  return node.kind === 'alias' ? resolveAlias(node.target) : node
}

/** The entries of a map that are written for a key, in order; the last one is what counts. */
export function entriesOf(map: MapNode, key: string): MapEntry[] {
  return map.entries.filter((entry) => !isMergeKey(entry.key) && readKey(entry.key) === key)
}

/** The node at a path, through aliases, but not through merges: `undefined` where nothing is written. */
export function follow(root: Node, path: Path): Node | undefined {
  let at: Node | undefined = root
  for (const step of path) {
    const node: Node = resolveAlias(at)
    if (node.kind === 'map') at = entriesOf(node, String(step)).at(-1)?.value
    else at = node.kind === 'sequence' && typeof step === 'number' ? node.items[step] : undefined
    if (!at) return undefined
  }
  return at
}

/** Set a key as data: `__proto__` is a key like any other. */
export function put(object: JsonObject, key: string, value: JsonValue): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else object[key] = value
}

function readScalar(node: ScalarNode): JsonValue {
  if (node.tag === undefined && node.style !== 'plain') return node.style === 'empty' ? null : node.text
  const value = translating(node, () => scalarValue(node))
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new UnreadableNode('syntax', node.start, `${node.text} is not a value that JSON has`)
  }
  return value
}

function scalarValue({ tag, style, text }: ScalarNode) {
  if (tag !== undefined) return resolveTagged(tag, text)
  return style === 'plain' || style === 'empty' ? resolvePlain(text) : text
}

function translating<T>(node: Node, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof UnreadableScalar)
      throw new UnreadableNode('syntax', node.start, cause.message, cause)
    throw cause
  }
}

function wantsMap(node: Node): UnreadableNode {
  return new UnreadableNode('syntax', node.start, '`<<` merges maps only')
}
