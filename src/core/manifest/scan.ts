/** Small steps through YAML text between its tokens. Offsets are UTF-16 units. */

const isBlank = (char: string | undefined) => char === ' ' || char === '\t' || char === '\r' || char === '\n'

/** The first place at or after `at` that is neither white space, nor a line end, nor in a comment. */
export function skipBlanks(text: string, at: number): number {
  for (let i = at; ; i++) {
    if (text[i] === '#' && (i === 0 || isBlank(text[i - 1]))) {
      while (i < text.length && text[i] !== '\n' && text[i] !== '\r') i++
    }
    if (!isBlank(text[i])) return i
  }
}

/** Where the line of `at` begins. */
export function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1
}

/** Where the line of `at` ends, in front of its line break (LF or CRLF) or the end of the text. */
export function lineEnd(text: string, at: number): number {
  const newline = text.indexOf('\n', at)
  if (newline < 0) return text.length
  return newline > at && text[newline - 1] === '\r' ? newline - 1 : newline
}

/** Where the next line begins, or the end of the text. */
export function nextLine(text: string, at: number): number {
  const newline = text.indexOf('\n', at)
  return newline < 0 ? text.length : newline + 1
}

/** Lines and columns of a text's offsets, both from 1; a byte order mark takes no column. */
export class Lines {
  readonly #starts: number[]

  constructor(text: string) {
    this.#starts = [text.charCodeAt(0) === 0xfeff ? 1 : 0]
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#starts.push(at + 1)
  }

  at(offset: number): { line: number; column: number } {
    let low = 0
    let high = this.#starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((this.#starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return { line: low + 1, column: Math.max(offset - (this.#starts[low] ?? 0), 0) + 1 }
  }
}
