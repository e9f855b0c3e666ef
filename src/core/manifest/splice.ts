import {
  entriesOf,
  type MapEntry,
  type MapNode,
  type Node,
  type Path,
  resolveAlias,
  type ScalarNode,
} from './node.ts'
import { formatScalar, type QuoteOptions } from './quote.ts'
import { lineEnd, lineStart, nextLine, skipBlanks } from './scan.ts'

/**
 * Where a document's text has to change so that one value changes, and nothing else: the way a careful person would
 * do it by hand. Whether it worked is proved by `edit.ts`; here is only planned.
 */
export interface Splice {
  /** half-open, in UTF-16 units */
  start: number
  end: number
  text: string
}

/** There is no way to make an edit that is surely right. */
export class Unplannable extends Error {}

/** Put the new texts in place. Splices may not overlap; at the same place they follow each other as given. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  let result = ''
  let at = 0
  for (const splice of splices.toSorted((a, b) => a.start - b.start)) {
    result += text.slice(at, splice.start) + splice.text
    at = splice.end
  }
  return result + text.slice(at)
}

/**
 * Plan to write a text at a path. Missing maps on the way are made; a new key goes to the end of its map.
 *
 * @throws Unplannable
 */
export function planSet(source: string, root: Node, path: Path, to: string): Splice[] {
  let node = resolveAlias(root)
  let parent: MapNode | undefined
  for (const [index, step] of path.entries()) {
    const rest = path.slice(index + 1)
    if (node.kind === 'sequence' && typeof step === 'number') {
      const item = node.items[step]
      if (!item) throw new Unplannable('there is no such item')
      node = resolveAlias(item)
    } else if (node.kind === 'map') {
      const map: MapNode = node
      const entry = entriesOf(map, String(step)).at(-1)
      if (!entry) return append(source, map, parent, String(step), rest, to)
      if (rest.length === 0) return replaceValue(source, map, entry, to)
      if (isNothing(entry.value)) return fillNothing(source, map, parent, entry, rest, to)
      parent = map
      node = resolveAlias(entry.value)
    } else throw new Unplannable(`${index === 0 ? 'the document' : String(path[index - 1])} is not a map`)
  }
  throw new Unplannable('the path is empty')
}

/**
 * Plan to take a key out of its map, and the map with it where nothing else is left. Of several equal keys the last
 * one goes; the caller asks again.
 *
 * @throws Unplannable
 */
export function planRemove(source: string, root: Node, path: Path): Splice[] {
  const maps: MapNode[] = []
  let node = resolveAlias(root)
  for (const step of path.slice(0, -1)) {
    if (node.kind === 'map') maps.push(node)
    const next: Node | undefined =
      node.kind === 'map'
        ? entriesOf(node, String(step)).at(-1)?.value
        : node.kind === 'sequence' && typeof step === 'number'
          ? node.items[step]
          : undefined
    if (!next) throw new Unplannable('it does not stand here as a key of its own')
    node = resolveAlias(next)
  }
  if (node.kind !== 'map') throw new Unplannable('it does not stand in a map')
  const entries = entriesOf(node, String(path.at(-1)))
  const entry = entries.at(-1)
  if (!entry) throw new Unplannable('it is merged in from elsewhere with <<')
  const holder = maps.at(-1)
  const around = entriesOf(holder ?? node, String(path.at(-2))).at(-1)
  if (entries.length < node.entries.length || !holder || !around) return removeEntry(source, node, entry)
  return removeEntry(source, holder, around)
}

function replaceValue(source: string, map: MapNode, { value }: MapEntry, to: string): Splice[] {
  if (value.kind === 'alias') {
    return [{ start: value.start, end: value.end, text: formatScalar(to, { flow: map.flow }) }]
  }
  if (value.kind !== 'scalar') throw new Unplannable('it holds a collection, not text')
  const { style, start, end } = value
  const quotes = style === 'single' || style === 'double' ? style : undefined
  const text = formatScalar(to, { quotes, flow: map.flow })
  if (style === 'empty') return [{ start, end, text: `${valueSeparator(source, map, start)}${text}` }]
  if (style !== 'block') return [{ start, end, text }]
  // a comment behind the block's header stays
  const header = /^[|>][-+0-9]*/.exec(source.slice(start))?.[0].length ?? 1
  const headerEnd = lineEnd(source, start)
  return [
    { start, end: start + header, text },
    { start: headerEnd, end: Math.max(headerEnd, blockContentEnd(source, value)), text: '' },
  ]
}

/** What goes between a key and the value that it lacks. */
function valueSeparator(source: string, map: MapNode, at: number): string {
  if (/[:\w]/.test(source[at - 1] ?? '') && source.slice(0, at).trimEnd().endsWith(':')) return ' '
  if (map.flow) return ': '
  if (/[&!]\S+$/.test(source.slice(0, at))) return ' '
  throw new Unplannable('its key has no colon')
}

function isNothing(value: Node): boolean {
  return value.kind === 'scalar' && (value.style === 'empty' || /^(?:~|null|Null|NULL)$/.test(value.text))
}

/** Put a map where a key has nothing, or `~` or `null`. */
function fillNothing(
  source: string,
  map: MapNode,
  parent: MapNode | undefined,
  { value }: MapEntry,
  path: Path,
  to: string,
): Splice[] {
  const { start, end } = value
  if (map.flow) {
    const separator = start === end ? valueSeparator(source, map, start) : ''
    return [{ start, end, text: `${separator}${flowEntries(path, to, isJson(map))}` }]
  }
  const column = columnOf(source, map)
  const indent = ' '.repeat(column + stepOf(source, map, parent))
  const blanks = /[ \t]*$/.exec(source.slice(0, start))?.[0].length ?? 0
  const at = lineEnd(source, end)
  const text = lineBreakAt(source, at) + blockEntries(path, to, indent, lineBreakAt(source, at))
  return start === end
    ? [{ start: at, end: at, text }]
    : [
        { start: start - blanks, end, text: '' },
        { start: at, end: at, text },
      ]
}

/** Add a key at the end of a map. */
function append(
  source: string,
  map: MapNode,
  parent: MapNode | undefined,
  key: string,
  rest: Path,
  to: string,
): Splice[] {
  const path = [key, ...rest]
  const last = map.entries.at(-1)
  if (map.flow) {
    if (source[map.start] !== '{') throw new Unplannable('it stands in a pair without braces')
    const text = flowPairs(path, to, isJson(last ? map : (parent ?? map)))
    if (!last) return [{ start: map.start + 1, end: map.start + 1, text }]
    return appendToFlow(source, map, last, text)
  }
  if (!last) throw new Unplannable('the map has no text')
  const column = columnOf(source, map)
  const text = (eol: string) =>
    blockEntries(path, to, indentOf(source, map), eol, stepOf(source, map, parent))
  const end = contentEnd(source, last.value)
  if (source[end - 1] === '\n') {
    // behind a block scalar that keeps its blank lines
    const eol = lineBreakAt(source, end - 1)
    return [{ start: end, end, text: text(eol) + eol }]
  }
  const at = endOfComments(source, end, column)
  const eol = lineBreakAt(source, at)
  return [{ start: at, end: at, text: eol + text(eol) }]
}

function appendToFlow(source: string, map: MapNode, last: MapEntry, text: string): Splice[] {
  const end = Math.max(last.value.end, last.key.end)
  const after = skipBlanks(source, end)
  const comma = source[after] === ',' ? after : undefined
  const lineOfLast = lineStart(source, last.key.start)
  const indent = source.slice(lineOfLast, last.key.start)
  const at = lineEnd(source, comma ?? end)
  if (indent.trim() === '' && lineOfLast > map.start && at < map.end - 1) {
    const added = { start: at, end: at, text: `${lineBreakAt(source, at)}${indent}${text}` }
    return comma === undefined
      ? [{ start: end, end, text: ',' }, added]
      : [{ ...added, text: `${added.text},` }]
  }
  return comma === undefined
    ? [{ start: end, end, text: `, ${text}` }]
    : [{ start: comma + 1, end: comma + 1, text: ` ${text}` }]
}

function removeEntry(source: string, map: MapNode, entry: MapEntry): Splice[] {
  return map.flow ? removeFromFlow(source, map, entry) : removeFromBlock(source, map, entry)
}

function removeFromBlock(source: string, map: MapNode, entry: MapEntry): Splice[] {
  const start = lineStart(source, entry.key.start)
  const end = contentEnd(source, entry.value)
  if (map.entries[0] !== entry || /^[ \t]*$/.test(source.slice(start, start + columnOf(source, map)))) {
    const next = source[end - 1] === '\n' ? end : nextLine(source, end)
    const isLastLine = next === source.length && source[next - 1] !== '\n'
    // a file without a newline at its end keeps none
    return [{ start: isLastLine && start > 0 ? lineEnd(source, start - 1) : start, end: next, text: '' }]
  }
  // the first entry shares its line with a dash or a colon: the second one moves up
  const second = map.entries[1]
  if (!second) throw new Unplannable('nothing would be left in its place')
  const next = lineStart(source, second.key.start) + columnOf(source, map)
  if (source.slice(end, next).trim() !== '') throw new Unplannable('a comment stands in the way')
  return [{ start: start + columnOf(source, map), end: next, text: '' }]
}

function removeFromFlow(source: string, map: MapNode, entry: MapEntry): Splice[] {
  const index = map.entries.indexOf(entry)
  const endOf = ({ key, value }: MapEntry) => Math.max(key.end, value.end)
  const commaAfter = (at: MapEntry) => {
    const after = skipBlanks(source, endOf(at))
    return source[after] === ',' ? after : undefined
  }
  const previous = map.entries[index - 1]
  const before = previous && commaAfter(previous)
  const start = skipBlanks(source, before === undefined ? map.start + 1 : before + 1)
  const comma = commaAfter(entry)
  const end = comma === undefined ? endOf(entry) : comma + 1
  const isLast = index === map.entries.length - 1
  const orphan =
    isLast && comma === undefined && before !== undefined
      ? [{ start: before, end: before + 1, text: '' }]
      : []

  const line = lineStart(source, start)
  const rest = source.slice(end, lineEnd(source, end))
  if (line > map.start && source.slice(line, start).trim() === '' && /^[ \t]*(?:#.*)?$/.test(rest)) {
    return [...orphan, { start: line, end: nextLine(source, end), text: '' }]
  }
  if (!isLast) return [{ start, end: skipBlanks(source, end), text: '' }]
  return before === undefined ? [{ start, end, text: '' }] : [{ start: before, end: endOf(entry), text: '' }]
}

/** Where the text of a value ends, without the blank lines behind it that mean nothing. */
function contentEnd(source: string, node: Node): number {
  if (node.kind === 'scalar') return node.style === 'block' ? blockContentEnd(source, node) : node.end
  if (node.kind === 'alias' || node.flow) return node.end
  const last = node.kind === 'map' ? node.entries.at(-1)?.value : node.items.at(-1)
  return last ? contentEnd(source, last) : node.end
}

function blockContentEnd(source: string, { start, end }: ScalarNode): number {
  const keepsBlankLines = /^[|>][0-9]?\+/.test(source.slice(start, start + 3))
  return keepsBlankLines ? end : start + source.slice(start, end).trimEnd().length
}

/** The end of the line of `at`, or of the comment lines below it that are indented like the map. */
function endOfComments(source: string, at: number, column: number): number {
  let end = lineEnd(source, at)
  for (let next = nextLine(source, end); next > end && next < source.length; ) {
    const lineStop = lineEnd(source, next)
    const [, indent = '', comment] = /^([ \t]*)(#?)/.exec(source.slice(next, lineStop)) ?? []
    const isBlank = indent.length === lineStop - next
    if (!isBlank && !(comment && indent.length >= column)) break
    if (!isBlank) end = lineStop
    if (nextLine(source, lineStop) === next) break
    next = nextLine(source, lineStop)
  }
  return end
}

/** The column where the keys of a block map begin, from 0. */
function columnOf(source: string, map: MapNode): number {
  return indentBefore(source, map).length
}

function indentOf(source: string, map: MapNode): string {
  const before = indentBefore(source, map)
  return before.trim() === '' ? before : ' '.repeat(before.length)
}

/** What stands in front of a block map's first key: blanks, or blanks and the mark of a sequence or an explicit key. */
function indentBefore(source: string, map: MapNode): string {
  const first = map.entries[0]?.key.start ?? map.start
  const before = source.slice(lineStart(source, first), first).replace(/^\ufeff/, '')
  // without a mark of its own, its anchor and its tag
  return before.replace(/(?:\?[ \t]+)?(?:[&!]\S*[ \t]+)*$/, '')
}

/** How far a map's children are indented: as far as the map itself is within its parent. */
function stepOf(source: string, map: MapNode, parent: MapNode | undefined): number {
  const step = parent && !parent.flow ? columnOf(source, map) - columnOf(source, parent) : 0
  return step > 0 ? step : 2
}

function blockEntries(path: Path, to: string, indent: string, eol: string, step = 2): string {
  const [key, ...rest] = path
  const name = formatScalar(String(key), { flow: false, key: true })
  if (rest.length === 0) return `${indent}${name}: ${formatScalar(to, { flow: false })}`
  return `${indent}${name}:${eol}${blockEntries(rest, to, indent + ' '.repeat(step), eol, step)}`
}

function flowEntries(path: Path, to: string, json: boolean): string {
  return `{${flowPairs(path, to, json)}}`
}

function flowPairs([key, ...rest]: Path, to: string, json: boolean): string {
  const options: QuoteOptions = { flow: true, quotes: json ? 'double' : undefined }
  const name = formatScalar(String(key), { ...options, key: true })
  return `${name}: ${rest.length === 0 ? formatScalar(to, options) : flowEntries(rest, to, json)}`
}

/** Whether a flow map is written like JSON, which it should then stay. */
function isJson(map: MapNode): boolean {
  return (
    map.entries.length > 0 && map.entries.every(({ key }) => key.kind === 'scalar' && key.style === 'double')
  )
}

/** The line break of the line of `at`, or of the one before where it is the last. */
function lineBreakAt(source: string, at: number): string {
  const next = source.indexOf('\n', at)
  const newline = next < 0 ? source.lastIndexOf('\n') : next
  return newline > 0 && source[newline - 1] === '\r' ? '\r\n' : '\n'
}
