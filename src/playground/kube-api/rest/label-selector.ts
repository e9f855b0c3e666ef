import type { JsonObject } from '../../../core/json.ts'
import { badRequest } from './status.ts'

/**
 * Label selectors as text, read word by word as Kubernetes does, with its words for what is wrong.
 *
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */

export type LabelTest = (labels: JsonObject) => boolean

/** @throws StatusError 400 */
export function parseLabelSelector(text: string): LabelTest {
  const tests = new Parser(text).parse()
  return (labels) => tests.every((test) => test(labels))
}

interface Token {
  kind: 'end' | 'word' | ',' | '!' | '(' | ')' | 'operator'
  text: string
}

const operators = new Set(['=', '==', '!=', '>', '<'])

class Parser {
  readonly #tokens: Token[]
  #at = 0

  constructor(text: string) {
    this.#tokens = [...text.matchAll(/==|!=|[=!(),<>]|[^=!(),<>\s]+/g)].map(([found]) => ({
      kind: kindOf(found),
      text: found,
    }))
  }

  parse(): LabelTest[] {
    const tests: LabelTest[] = []
    for (;;) {
      const token = this.#peek()
      if (token.kind === 'end') return tests
      if (token.kind !== 'word' && token.kind !== '!') {
        throw unexpected(token, "!, identifier, or 'end of string'")
      }
      try {
        tests.push(this.#requirement())
      } catch (error) {
        throw badRequest(`unable to parse requirement: ${(error as Error).message}`)
      }
      const next = this.#take()
      if (next.kind === 'end') return tests
      if (next.kind !== ',') throw unexpected(next, "',' or 'end of string'")
      const after = this.#peek()
      if (after.kind !== 'word' && after.kind !== '!') throw unexpected(after, "identifier after ','")
    }
  }

  #requirement(): LabelTest {
    const negated = this.#peek().kind === '!'
    if (negated) this.#take()
    const name = this.#take()
    if (name.kind !== 'word') throw unexpected(name, 'identifier')
    const key = name.text
    const has: LabelTest = (labels) => Object.hasOwn(labels, key)
    const next = this.#peek()
    if (negated) return (labels) => !has(labels)
    if (next.kind === 'end' || next.kind === ',') return has
    const operator = this.#take()
    if (operator.text === 'in' || operator.text === 'notin') {
      const values = this.#values()
      const isIn: LabelTest = (labels) => has(labels) && values.has(String(labels[key]))
      return operator.text === 'in' ? isIn : (labels) => !isIn(labels)
    }
    if (operator.kind !== 'operator') throw unexpected(operator, 'in, notin, =, ==, !=, gt, lt')
    const value = this.#value()
    switch (operator.text) {
      case '!=':
        return (labels) => !has(labels) || labels[key] !== value
      case '>':
        return (labels) => has(labels) && Number(labels[key]) > Number(value)
      case '<':
        return (labels) => has(labels) && Number(labels[key]) < Number(value)
      default:
        return (labels) => has(labels) && labels[key] === value
    }
  }

  #value(): string {
    const next = this.#peek()
    if (next.kind === 'end' || next.kind === ',') return ''
    const value = this.#take()
    if (value.kind !== 'word') throw unexpected(value, 'identifier')
    return value.text
  }

  #values(): Set<string> {
    const open = this.#take()
    if (open.kind !== '(') throw badRequest(`found '${open.text}' expected: '('`)
    const values = new Set<string>()
    for (;;) {
      const token = this.#take()
      if (token.kind === ')') return values.add('')
      if (token.kind === ',') {
        values.add('')
        continue
      }
      if (token.kind !== 'word') throw unexpected(token, "',', ')' or identifier")
      values.add(token.text)
      const next = this.#take()
      if (next.kind === ')') return values
      if (next.kind !== ',') throw unexpected(next, "',' or ')'")
    }
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' }
  }

  #take(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }
}

function kindOf(text: string): Token['kind'] {
  if (text === ',' || text === '!' || text === '(' || text === ')') return text
  return operators.has(text) ? 'operator' : 'word'
}

function unexpected({ text }: Token, expected: string): Error {
  return badRequest(`found '${text}', expected: ${expected}`)
}
