import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatJson, isJsonObject } from '../../../src/core/json.ts'
import { readPart } from '../../../src/core/manifest/read-part.ts'

/** Made with sigs.k8s.io/yaml v1.4.0, which kubectl and the API server read with: how a scalar reads as a value and as a key. */
const scalars: { text: string; value?: string; unreadable?: true; key?: string }[] = JSON.parse(
  readFileSync('test/fixtures/manifests/scalars.json', 'utf8'),
)
/** The same for whole documents. */
const documents: { text: string; json?: unknown; unreadable?: true }[] = JSON.parse(
  readFileSync('test/fixtures/manifests/documents.json', 'utf8'),
)

const read = (text: string) => readPart(text)[0]?.value ?? null

/** Both ways of writing a float that JSON has are one value. */
const sameNumber = (json: string) => (/^-?[\d.]+e/i.test(json) ? String(Number(json)) : json)

describe('scalars mean what they mean to Kubernetes', () => {
  test.each(scalars.filter(({ value }) => value !== undefined))('$text is $value', ({ text, value }) => {
    const map = read(`v: ${text}\n`)

    if (!isJsonObject(map)) throw new Error('not a map')
    expect(formatJson(map.v ?? null, { escapeHtml: true })).toBe(sameNumber(value ?? '').replace(/^-0$/, '0'))
  })

  test.each(scalars.filter(({ unreadable }) => unreadable))('$text cannot be read', ({ text }) => {
    expect(() => read(`v: ${text}\n`)).toThrow()
  })

  test.each(scalars.filter(({ key }) => key !== undefined))('as a key $text is $key', ({ text, key }) => {
    expect(Object.keys(read(`${text || '""'}: v\n`) ?? {})).toEqual([key])
  })
})

describe('documents read as Kubernetes reads them', () => {
  test.each(documents)('$text', ({ text, json, unreadable }) => {
    if (unreadable) expect(() => read(text)).toThrow()
    else expect(JSON.parse(formatJson(read(text)))).toEqual(json)
  })
})

test('integers of 64 bits keep every digit', () => {
  expect(
    read('[9223372036854775807, -9223372036854775808, 18446744073709551615, 0xFFFFFFFFFFFFFFFF]'),
  ).toEqual([9223372036854775807n, -9223372036854775808n, 18446744073709551615n, 18446744073709551615n])
})

test('a key named __proto__ is a key', () => {
  const value = read('__proto__: {a: 1}\nb: 2\n')

  expect(Object.keys(value ?? {})).toEqual(['__proto__', 'b'])
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  expect(formatJson(value)).toBe('{"__proto__":{"a":1},"b":2}')
})
