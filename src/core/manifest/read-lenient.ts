import { isAlias, isMap, isScalar, isSeq, type ParsedNode, parseAllDocuments, type Range } from 'yaml'
import { type MapNode, type Node, type ScalarStyle, UnreadableNode } from './node.ts'

/**
 * The second parser: `yaml`, for documents that the first one finds too loose but Kubernetes reads, such as a flow
 * collection that closes in the first column. The schema is the plainest: what scalars mean is decided by us.
 *
 * @param text one or more documents without a `---` between them
 * @returns the root of each document; offsets count from the start of `text`
 * @throws UnreadableNode
 */
export function readLenient(text: string): Node[] {
  const documents = parseAllDocuments(text, {
    strict: false,
    uniqueKeys: false,
    schema: 'failsafe',
    logLevel: 'silent',
    prettyErrors: false,
  })
  return documents.map((document) => {
    const [error] = document.errors
    if (error) throw new UnreadableNode('syntax', error.pos[0], error.message, error)
    return convert(document.contents as ParsedNode | null, document.range[0], new Map(), new Set())
  })
}

const styles: Record<string, ScalarStyle> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
}

function convert(at: ParsedNode | null, absent: number, anchors: Map<string, Node>, open: Set<Node>): Node {
  if (at === null)
    return { kind: 'scalar', start: absent, end: absent, style: 'empty', text: '', tag: undefined }
  const [start, end] = at.range as Range
  if (isAlias(at)) {
    const target = anchors.get(at.source)
    if (!target)
      throw new UnreadableNode('syntax', start, `there is no anchor &${at.source} before this alias`)
    if (open.has(target))
      throw new UnreadableNode('aliases', start, `the anchor &${at.source} contains itself`)
    return { kind: 'alias', start, end, target }
  }
  if (isScalar(at)) {
    const style = start === end ? 'empty' : (styles[at.type ?? ''] ?? 'plain')
    const node: Node = { kind: 'scalar', start, end, style, text: String(at.value ?? ''), tag: at.tag }
    if (at.anchor) anchors.set(at.anchor, node)
    return node
  }
  if (isSeq(at)) {
    const node: Node = { kind: 'sequence', start, end, flow: at.flow === true, items: [] }
    if (at.anchor) anchors.set(at.anchor, node)
    open.add(node)
    for (const item of at.items) node.items.push(convert(item as ParsedNode | null, end, anchors, open))
    open.delete(node)
    if (!node.flow) node.end = node.items.at(-1)?.end ?? end
    return node
  }
  if (isMap(at)) {
    const node: MapNode = { kind: 'map', start, end, flow: at.flow === true, entries: [] }
    if (at.anchor) anchors.set(at.anchor, node)
    open.add(node)
    for (const pair of at.items) {
      const key = convert(pair.key as ParsedNode | null, start, anchors, open)
      node.entries.push({ key, value: convert(pair.value as ParsedNode | null, key.end, anchors, open) })
    }
    open.delete(node)
    if (!node.flow) node.end = node.entries.at(-1)?.value.end ?? end
    return node
  }
  throw new UnreadableNode('syntax', start, 'this node is of no kind that YAML has')
}
