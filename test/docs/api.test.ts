import { expect, test } from 'vitest'
import { paths } from '../../src/api/paths.ts'
import { codeIn, rowsOf } from './page.ts'

test('the page of the API has every route with the query it requires, and no other', () => {
  const page = rowsOf('api.md').flatMap(({ cells: [route] }) => {
    const text = codeIn(route) ?? ''
    return /^(GET|HEAD|POST|PATCH) \//.test(text) ? [text] : []
  })
  const table = Object.values(paths).map(({ method, path, requiredQuery }) =>
    [
      `${method} ${path}`,
      ...(requiredQuery.length > 0 ? [requiredQuery.map((name) => `${name}=`).join('&')] : []),
    ].join('?'),
  )

  expect(page.toSorted()).toEqual(table.toSorted())
})
