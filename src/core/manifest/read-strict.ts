import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml'
import { type MapNode, maxDepth, type Node, type ScalarStyle, UnreadableNode } from './node.ts'
import { yamlTag } from './scalar.ts'
import { skipBlanks } from './scan.ts'

/**
 * The first parser: `js-yaml`, strict YAML 1.2. Its events carry offsets of scalars; what they leave out (where a
 * flow collection closes, where a block scalar's header or an absent value stands) is found in the text.
 *
 * @param text one or more documents without a `---` between them
 * @returns the root of each document; offsets count from the start of `text`
 * @throws UnreadableNode
 */
export function readStrict(text: string): Node[] {
  try {
    return new Composer(text, parseEvents(text, { maxDepth: maxDepth + 2 })).documents()
  } catch (cause) {
    if (!(cause instanceof YAMLException)) throw cause
    const fault = cause.reason.startsWith('nesting exceeded') ? 'depth' : 'syntax'
    const reason = fault === 'depth' ? `nested deeper than ${maxDepth} levels` : cause.reason
    throw new UnreadableNode(fault, cause.mark?.position ?? 0, reason, cause)
  }
}

const styles: Record<number, ScalarStyle> = {
  [SCALAR_STYLE.PLAIN]: 'plain',
  [SCALAR_STYLE.SINGLE_QUOTED]: 'single',
  [SCALAR_STYLE.DOUBLE_QUOTED]: 'double',
  [SCALAR_STYLE.LITERAL_BLOCK]: 'block',
  [SCALAR_STYLE.FOLDED_BLOCK]: 'block',
}

interface Properties {
  anchorStart: number
  anchorEnd: number
  tagStart: number
  tagEnd: number
}

class Composer {
  readonly #text: string
  readonly #events: Event[]
  #next = 0
  /** end of what has been read so far */
  #at = 0
  #anchors = new Map<string, Node>()
  #handles = new Map<string, string>()
  readonly #open = new Set<Node>()

  constructor(text: string, events: Event[]) {
    this.#text = text
    this.#events = events
  }

  documents(): Node[] {
    const roots: Node[] = []
    for (let event = this.#take(); event; event = this.#take()) {
      if (event.type !== EVENT_ID.DOCUMENT)
        throw new Error('the YAML parser sent an event outside a document')
      this.#anchors = new Map()
      this.#handles = new Map(
        event.directives.flatMap((d) => (d.kind === 'tag' ? [[d.handle, d.prefix]] : [])),
      )
      roots.push(this.#node())
      this.#take() // the document's end
    }
    return roots
  }

  #take(): Event | undefined {
    return this.#events[this.#next++]
  }

  #node(): Node {
    const event = this.#take()
    if (event?.type === EVENT_ID.SCALAR) {
      const style = event.valueStart < 0 ? 'empty' : (styles[event.style] ?? 'plain')
      const properties = Math.max(this.#at, event.anchorEnd, event.tagEnd)
      const quotes = style === 'single' || style === 'double' ? 1 : 0
      const start =
        style === 'empty'
          ? properties
          : style === 'block'
            ? this.#blockHeader(properties, event.valueStart)
            : event.valueStart - quotes
      const end = style === 'empty' ? start : event.valueEnd + quotes
      const text = style === 'empty' ? '' : getScalarValue(this.#text, event)
      const node: Node = { kind: 'scalar', start, end, style, text, tag: this.#tag(event) }
      this.#anchor(event, node)
      this.#at = end
      return node
    }
    if (event?.type === EVENT_ID.SEQUENCE) {
      const flow = this.#text[event.start] === '['
      const node: Node = { kind: 'sequence', start: event.start, end: event.start, flow, items: [] }
      this.#enter(event, node)
      while (this.#more()) {
        const mark = skipBlanks(this.#text, this.#at)
        if (this.#text[mark] === (flow ? ',' : '-')) this.#at = mark + 1
        node.items.push(this.#node())
      }
      this.#leave(node, ']')
      return node
    }
    if (event?.type === EVENT_ID.MAPPING) {
      const flow = this.#text[event.start] === '{'
      const node: MapNode = { kind: 'map', start: event.start, end: event.start, flow, entries: [] }
      this.#enter(event, node)
      while (this.#more()) {
        const key = this.#node()
        const colon = skipBlanks(this.#text, this.#at)
        if (this.#text[colon] === ':') this.#at = colon + 1
        node.entries.push({ key, value: this.#node() })
      }
      this.#leave(node, '}')
      return node
    }
    if (event?.type === EVENT_ID.ALIAS) {
      const name = this.#text.slice(event.anchorStart, event.anchorEnd)
      const target = this.#anchors.get(name)
      const start = event.anchorStart - 1
      if (!target) throw new UnreadableNode('syntax', start, `there is no anchor &${name} before this alias`)
      if (this.#open.has(target))
        throw new UnreadableNode('aliases', start, `the anchor &${name} contains itself`)
      this.#at = event.anchorEnd
      return { kind: 'alias', start, end: event.anchorEnd, target }
    }
    throw new Error('the YAML parser ended in the middle of a document')
  }

  /** Whether the collection goes on; takes its end otherwise. */
  #more(): boolean {
    if (this.#events[this.#next]?.type !== EVENT_ID.POP) return this.#next < this.#events.length
    this.#next++
    return false
  }

  #enter(event: Properties & { start: number }, node: Node): void {
    this.#anchor(event, node)
    this.#open.add(node)
    this.#at = event.start + (node.kind !== 'scalar' && node.kind !== 'alias' && node.flow ? 1 : 0)
  }

  #leave(node: Node, closing: string): void {
    this.#open.delete(node)
    if (node.kind === 'map' || node.kind === 'sequence') {
      if (node.flow) {
        let at = skipBlanks(this.#text, this.#at)
        while (this.#text[at] !== closing && at < this.#text.length) at = skipBlanks(this.#text, at + 1)
        this.#at = at + 1
      }
      node.end = this.#at
    }
  }

  #anchor({ anchorStart, anchorEnd }: Properties, node: Node): void {
    if (anchorStart >= 0) this.#anchors.set(this.#text.slice(anchorStart, anchorEnd), node)
  }

  #tag({ tagStart, tagEnd }: Properties): string | undefined {
    if (tagStart < 0) return undefined
    const written = this.#text.slice(tagStart, tagEnd)
    if (written.startsWith('!<')) return written.slice(2, -1)
    const [, handle = '!', suffix = ''] = /^(![^!]*!|!)(.*)$/s.exec(written) ?? []
    const prefix = this.#handles.get(handle) ?? (handle === '!!' ? yamlTag : handle)
    return suffix === '' && handle === '!' ? '!' : prefix + suffix
  }

  /** Where the `|` or `>` stands whose content begins at `content`. */
  #blockHeader(from: number, content: number): number {
    let at = from
    while (at < content) {
      at = skipBlanks(this.#text, at)
      const char = this.#text[at]
      if (char === '|' || char === '>') return at
      at++
    }
    return content
  }
}
