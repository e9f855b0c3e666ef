/**
 * A file as a stream of parts: what stands between its `---` lines. Each part is parsed alone, so that a fault stays
 * in its document and an edit parses only what it touches. A part holds one document as a rule; after a `...` line
 * more may follow.
 */
export interface Part {
  /** half-open, in UTF-16 units */
  start: number
  end: number
}

const marker = /^(---|\.\.\.)(?=[ \t\r]|$)/
const prologueLine = /^(?:%|[ \t]*(?:#|\r?\n|$))/

/** Split a file. The parts put together are the whole text; directives go with the document they precede. */
export function splitStream(text: string): Part[] {
  const parts: Part[] = []
  let start = 0
  /** where a document's directives may begin, while nothing but comments, blank lines and directives was seen */
  let prologue: number | undefined = 0
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const next = newline < 0 ? text.length : newline + 1
    const from = at === 0 && text.charCodeAt(0) === 0xfeff ? 1 : at
    const char = text.charCodeAt(from)
    if (char === 45 /* - */ || char === 46 /* . */) {
      const found = marker.exec(text.slice(from, newline < 0 ? next : newline))?.[1]
      if (found === '---') {
        const boundary: number = prologue ?? at
        if (boundary > start) parts.push({ start, end: boundary })
        start = boundary
        prologue = undefined
      } else prologue = found === '...' ? next : undefined
    } else if (prologue !== undefined && !prologueLine.test(text.slice(from, next))) prologue = undefined
    at = next
  }
  parts.push({ start, end: text.length })
  return parts
}
