/** What Go's `encoding/json` says of text that isn't JSON, or of JSON that has the wrong type. v1's client passes it on. */

/** Where the first value of a text ends; or what Go's decoder says, which reads a stream and so tells ends apart. */
export function scanJson(text: string): { end: number; fault?: string } {
  const scanner = new Scanner(text)
  try {
    scanner.readValue('looking for beginning of value')
    return { end: scanner.at }
  } catch (error) {
    const { message } = error as Error
    const ended = text.trim() === '' ? 'EOF' : 'unexpected EOF'
    return { end: 0, fault: message === tooShort ? ended : message }
  }
}

/** @param text that `JSON.parse` refuses */
export function goSyntaxError(text: string): string {
  const scanner = new Scanner(text)
  try {
    scanner.readValue('looking for beginning of value')
    scanner.skipBlanks()
    if (!scanner.atEnd) scanner.fail('after top-level value')
  } catch (error) {
    return (error as Error).message
  }
  return tooShort
}

/** @param goType such as `[]string` */
export function goTypeError(value: unknown, goType: string): string {
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
  return `json: cannot unmarshal ${kind} into Go value of type ${goType}`
}

const tooShort = 'unexpected end of JSON input'

/** Walks JSON to the first character that can't stand where it does. */
class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** where it stands */
  get at(): number {
    return this.#at
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  #peek(): string {
    return this.#text.slice(this.#at, this.#at + 1)
  }

  fail(context: string): never {
    if (this.atEnd) throw new Error(tooShort)
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0)
    const quoted = { "'": "'\\''", '"': `'"'`, '\n': "'\\n'", '\r': "'\\r'", '\t': "'\\t'" }[character]
    throw new Error(`invalid character ${quoted ?? `'${character}'`} ${context}`)
  }

  skipBlanks(): void {
    while (/^[ \t\r\n]$/.test(this.#peek())) this.#at++
  }

  readValue(context: string): void {
    this.skipBlanks()
    const next = this.#peek()
    if (next === '{') this.#readList('}', 'object key:value pair', () => this.#readPair())
    else if (next === '[')
      this.#readList(']', 'array element', () => this.readValue('looking for beginning of value'))
    else if (next === '"') this.#readString()
    else if (next === 't') this.#readWord('true')
    else if (next === 'f') this.#readWord('false')
    else if (next === 'n') this.#readWord('null')
    else if (next === '-' || /^\d$/.test(next)) this.#readNumber()
    else this.fail(context)
  }

  #readList(close: string, item: string, read: () => void): void {
    this.#at++
    this.skipBlanks()
    if (this.#peek() === close) {
      this.#at++
      return
    }
    for (;;) {
      read()
      this.skipBlanks()
      const next = this.#peek()
      if (next !== ',' && next !== close) this.fail(`after ${item}`)
      this.#at++
      if (next === close) return
    }
  }

  #readPair(): void {
    this.skipBlanks()
    if (this.#peek() !== '"') this.fail('looking for beginning of object key string')
    this.#readString()
    this.skipBlanks()
    if (this.#peek() !== ':') this.fail('after object key')
    this.#at++
    this.readValue('looking for beginning of value')
  }

  #readWord(word: string): void {
    for (const letter of word) {
      if (this.#peek() !== letter) this.fail(`in literal ${word} (expecting '${letter}')`)
      this.#at++
    }
  }

  #readString(): void {
    this.#at++
    while (this.#peek() !== '"') {
      if (this.atEnd || this.#peek() < ' ') this.fail('in string literal')
      if (this.#peek() === '\\') {
        this.#at++
        if (!/^["\\/bfnrtu]$/.test(this.#peek())) this.fail('in string escape code')
        if (this.#peek() === 'u') this.#readHex()
      }
      this.#at++
    }
    this.#at++
  }

  /** Stops at the last of the four digits. */
  #readHex(): void {
    for (let digit = 0; digit < 4; digit++) {
      this.#at++
      if (!/^[\da-f]$/i.test(this.#peek())) this.fail('in \\u hexadecimal character escape')
    }
  }

  #readNumber(): void {
    if (this.#peek() === '-') {
      this.#at++
      if (!/^\d$/.test(this.#peek())) this.fail('in numeric literal')
    }
    this.#at += /^(0|\d+)/.exec(this.#text.slice(this.#at))?.[0].length ?? 0
    if (this.#peek() === '.') {
      this.#at++
      if (!/^\d$/.test(this.#peek())) this.fail('after decimal point in numeric literal')
      this.#at += /^\d+/.exec(this.#text.slice(this.#at))?.[0].length ?? 0
    }
    if (/^[eE]$/.test(this.#peek())) {
      this.#at += /^[eE][+-]?/.exec(this.#text.slice(this.#at))?.[0].length ?? 0
      if (!/^\d$/.test(this.#peek())) this.fail('in exponent of numeric literal')
      this.#at += /^\d+/.exec(this.#text.slice(this.#at))?.[0].length ?? 0
    }
  }
}
