import { expect, test } from 'vitest'
import { errorCodes } from '../../src/core/errors.ts'
import { codeIn, rowsOf } from './page.ts'

const rows = rowsOf('errors.md').flatMap(({ cells: [code, kind = '', ...texts] }) => {
  const name = codeIn(code)
  return name !== undefined && /^[A-Z_]+$/.test(name) ? [{ name, kind, texts }] : []
})

test('the page of errors has every code with its kind, and no other', () => {
  const page = rows.map(({ name, kind }) => `${name} ${kind}`)
  const table = Object.entries(errorCodes).map(([name, kind]) => `${name} ${kind}`)

  expect(page.toSorted()).toEqual(table.toSorted())
})

test('of every code it says when it appears and what to do', () => {
  expect(
    rows.filter(({ texts }) => texts.length !== 2 || texts.includes('')).map(({ name }) => name),
  ).toEqual([])
})
