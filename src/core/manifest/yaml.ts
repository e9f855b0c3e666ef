import {
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml'
import { type MapNode, maxDepth, type Node, type ScalarStyle, UnreadableNode } from './node.ts'
import { yamlTag } from './scalar.ts'
import { lineStart, skipBlanks } from './scan.ts'

/**
 * The parser: `js-yaml`, strict YAML 1.2. Its events carry offsets of scalars; what they leave out (where a flow
 * collection closes, where a block scalar's header or an absent value stands) is found in the text.
 *
 * Kubernetes reads some text that YAML 1.2 forbids, and that means nothing else: lines too far left within quotes and
 * brackets, a tab in front of a bracket, a comment right behind a quote or a bracket. Such places get blanks in a
 * copy, and another try.
 *
 * @param text one or more documents without a `---` between them
 * @returns the root of each document; offsets count from the start of `text`
 * @throws UnreadableNode
 */
export function parseYaml(text: string): Node[] {
  const padding = new Padding()
  let padded = text
  for (let budget = maxReparsedLength; ; budget -= padded.length) {
    try {
      const events = parseEvents(padded, { maxDepth: maxDepth + 2 })
      return padding.compose(padded, events)
    } catch (cause) {
      if (!(cause instanceof YAMLException)) throw cause
      const position = cause.mark?.position ?? 0
      const patched = budget > 0 ? padding.tryAt(padded, position, cause.reason) : undefined
      if (patched === undefined) {
        const fault = cause.reason.startsWith('nesting exceeded') ? 'depth' : 'syntax'
        const reason = fault === 'depth' ? `nested deeper than ${maxDepth} levels` : cause.reason
        throw padding.takeOffFault(new UnreadableNode(fault, position, reason, cause))
      }
      padded = patched
    }
  }
}

/** characters that may be parsed again, all attempts together */
const maxReparsedLength = 16 * 1024 * 1024
/** more than any line can need within the depth that is read */
const indent = ' '.repeat(200)

/** Blanks that were put into a text, and the way back to the text without them. */
class Padding {
  /** in the padded text, ascending */
  readonly #added: { start: number; length: number }[] = []
  /** tabs that became blanks, in the text without padding */
  readonly #tabs: number[] = []

  /** The text with blanks that may help against a fault; `undefined` where none can. */
  tryAt(text: string, position: number, reason: string): string | undefined {
    const line = lineStart(text, position)
    const before = text.slice(line, position)
    if (reason === 'deficient indentation') {
      return before.trim() === '' ? this.#add(text, line, indent) : this.#replaceTabs(text, line, before)
    }
    const isComment = text[position] === '#' && /["'\]},|>0-9+-]$/.test(before)
    return isComment ? this.#add(text, position, ' ') : undefined
  }

  #add(text: string, start: number, blanks: string): string | undefined {
    const last = this.#added.at(-1)
    if (last && start <= last.start) return undefined
    this.#added.push({ start, length: blanks.length })
    return text.slice(0, start) + blanks + text.slice(start)
  }

  /** Tabs behind an indicator, in front of brackets: js-yaml takes them for indentation. */
  #replaceTabs(text: string, line: number, before: string): string | undefined {
    const without = before.replace(/(?<=[-?:,[\]{}])[ \t]*\t[ \t]*/g, (blanks, at: number) => {
      for (let i = 0; i < blanks.length; i++) {
        if (blanks[i] === '\t') this.#tabs.push(this.#original(line + at + i))
      }
      return ' '.repeat(blanks.length)
    })
    return without === before ? undefined : text.slice(0, line) + without + text.slice(line + before.length)
  }

  /**
   * Turn the spans of a tree into those of the text without padding.
   *
   * @throws UnreadableNode where a tab was not between tokens after all
   */
  #takeOff(roots: readonly Node[]): void {
    for (const node of roots) {
      node.start = this.#original(node.start)
      node.end = this.#original(node.end)
      if (node.kind === 'sequence') this.#takeOff(node.items)
      else if (node.kind === 'map') for (const { key, value } of node.entries) this.#takeOff([key, value])
      else if (this.#tabs.some((tab) => node.start <= tab && tab < node.end)) {
        throw new UnreadableNode('syntax', node.start, 'a tab stands where blanks belong')
      }
    }
  }

  /** The tree of what was read in the padded text, with the spans of the text without padding. */
  compose(padded: string, events: Event[]): Node[] {
    let roots: Node[]
    try {
      roots = new Composer(padded, events).documents()
    } catch (cause) {
      throw cause instanceof UnreadableNode ? this.takeOffFault(cause) : cause
    }
    if (this.#added.length > 0 || this.#tabs.length > 0) this.#takeOff(roots)
    return roots
  }

  takeOffFault(fault: UnreadableNode): UnreadableNode {
    return new UnreadableNode(fault.fault, this.#original(fault.offset), fault.message, fault.cause)
  }

  #original(offset: number): number {
    let original = offset
    for (const { start, length } of this.#added) {
      if (start >= offset) break
      original -= length
    }
    return original
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
      const text = style === 'empty' ? '' : this.#value(event)
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

  #value(event: ScalarEvent): string {
    const value = getScalarValue(this.#text, event)
    // a block at the end of a file that has no last newline has none either
    const isCut = event.valueEnd === this.#text.length && value.endsWith('\n') && !this.#text.endsWith('\n')
    return isCut && event.indent >= 0 ? value.slice(0, -1) : value
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
