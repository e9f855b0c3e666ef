import { resolvePlain } from './scalar.ts'

/**
 * How a new value is written down: in the quotes that the old one had, otherwise plain where that reads back as the
 * very same text, otherwise in single quotes, and in double quotes where only escapes will do.
 *
 * Follows `spec/flux-v1/resources.md` §8, "Text fidelity".
 */
type Quotes = 'single' | 'double'

export interface QuoteOptions {
  /** quotes to keep */
  quotes?: Quotes | undefined
  /** inside `{…}` or `[…]`, where commas and brackets mean something */
  flow: boolean
  /** in front of a colon */
  key?: boolean
}

/** control characters, line ends of any Unicode kind, and what may not stand in YAML as it is */
const needsEscapes = /[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])/
const alwaysEscaped = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g
/** an indicator in front, a blank at an end, `: ` or ` #` within */
const needsQuotes = /^(?:[,[\]{}#&*!|>'"%@`?:]|-(?:\s|$)|<<$|=$|---|\.\.\.)|^\s|\s$|:\s|:$|\s#/
const needsQuotesInFlow = /[,[\]{}?]/

/** Write a text as one YAML scalar on one line. */
export function formatScalar(text: string, { quotes, flow, key = false }: QuoteOptions): string {
  if (needsEscapes.test(text)) return doubleQuoted(text)
  if (quotes === 'double') return doubleQuoted(text)
  if (quotes === 'single' || !isPlain(text, flow, key)) return `'${text.replaceAll("'", "''")}'`
  return text
}

function isPlain(text: string, flow: boolean, key: boolean): boolean {
  if (needsQuotes.test(text) || (flow && needsQuotesInFlow.test(text)) || (key && text.length > 1000))
    return false
  return resolvePlain(text) === text
}

function doubleQuoted(text: string): string {
  return JSON.stringify(text).replace(
    alwaysEscaped,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
