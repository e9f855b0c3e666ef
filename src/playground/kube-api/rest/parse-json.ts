import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'

/**
 * JSON as the API server reads it: integers with every digit, keys that come twice noticed, and faults told in the
 * words of Go.
 */

export interface ParsedJson {
  value: JsonValue
  /** paths of keys that came more than once, such as `spec.replicas`; the last value counts */
  duplicates: string[]
}

/** what stands for a number in JSON, from where the reader is */
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y
const space = /[ \t\r\n]*/y
const plainText = /"[^"\\\u0000-\u001f]*"/y

/** @throws SyntaxError with Go's text */
export function parseJson(text: string): ParsedJson {
  return new Reader(text).read()
}

class Reader {
  readonly #text: string
  readonly #duplicates: string[] = []
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): ParsedJson {
    const value = this.#value('')
    this.#skipSpace()
    if (this.#at < this.#text.length) throw this.#unexpected('after top-level value')
    return { value, duplicates: this.#duplicates }
  }

  #value(path: string): JsonValue {
    this.#skipSpace()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(path)
      case '[':
        return this.#list(path)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(path: string): JsonObject {
    this.#at++
    const object: JsonObject = {}
    this.#skipSpace()
    if (this.#text[this.#at] === '}') {
      this.#at++
      return object
    }
    for (;;) {
      this.#skipSpace()
      if (this.#text[this.#at] !== '"') throw this.#unexpected('looking for beginning of object key string')
      const key = this.#string()
      const at = path === '' ? key : `${path}.${key}`
      if (Object.hasOwn(object, key)) this.#duplicates.push(at)
      this.#skipSpace()
      if (this.#text[this.#at] !== ':') throw this.#unexpected('after object key')
      this.#at++
      const read = this.#value(at)
      const before = Object.hasOwn(object, key) ? object[key] : undefined
      // Go reads a second object into the first
      const value = isJsonObject(before) && isJsonObject(read) ? { ...before, ...read } : read
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
      else object[key] = value
      this.#skipSpace()
      const next = this.#text[this.#at]
      if (next !== ',' && next !== '}') throw this.#unexpected('after object key:value pair')
      this.#at++
      if (next === '}') return object
    }
  }

  #list(path: string): JsonValue[] {
    this.#at++
    const list: JsonValue[] = []
    this.#skipSpace()
    if (this.#text[this.#at] === ']') {
      this.#at++
      return list
    }
    for (;;) {
      list.push(this.#value(`${path}[${list.length}]`))
      this.#skipSpace()
      const next = this.#text[this.#at]
      if (next !== ',' && next !== ']') throw this.#unexpected('after array element')
      this.#at++
      if (next === ']') return list
    }
  }

  #string(): string {
    plainText.lastIndex = this.#at
    const plain = plainText.exec(this.#text)
    if (plain !== null) {
      this.#at = plainText.lastIndex
      return plain[0].slice(1, -1)
    }
    let end = this.#at + 1
    for (; this.#text[end] !== '"'; end++) {
      const character = this.#text[end]
      if (character === undefined) throw new SyntaxError('unexpected end of JSON input')
      if (character < ' ') {
        this.#at = end
        throw this.#unexpected('in string literal')
      }
      if (character === '\\') end++
    }
    const quoted = this.#text.slice(this.#at, end + 1)
    this.#at = end + 1
    try {
      return JSON.parse(quoted) as string
    } catch {
      const escaped = /\\(?!["\\/bfnrtu])(.)/s.exec(quoted)?.[1] ?? 'u'
      throw new SyntaxError(`invalid character '${escaped}' in string escape code`)
    }
  }

  #number(): number | bigint {
    number.lastIndex = this.#at
    const found = number.exec(this.#text)?.[0]
    if (found === undefined) throw this.#unexpected('looking for beginning of value')
    this.#at = number.lastIndex
    const value = Number(found)
    return Number.isSafeInteger(value) || /[.eE]/.test(found) ? value : BigInt(found)
  }

  #word<T extends JsonValue>(word: string, value: T): T {
    for (let i = 1; i < word.length; i++) {
      if (this.#text[this.#at + i] === word[i]) continue
      this.#at += i
      throw this.#unexpected(`in literal ${word} (expecting '${word[i]}')`)
    }
    this.#at += word.length
    return value
  }

  #skipSpace(): void {
    space.lastIndex = this.#at
    space.exec(this.#text)
    this.#at = space.lastIndex
  }

  #unexpected(where: string): SyntaxError {
    const character = this.#text[this.#at]
    if (character === undefined) return new SyntaxError('unexpected end of JSON input')
    return new SyntaxError(`invalid character ${quoteCharacter(character)} ${where}`)
  }
}

function quoteCharacter(character: string): string {
  if (character === "'") return `'\\''`
  return `'${JSON.stringify(character).slice(1, -1).replace('\\"', '"')}'`
}
