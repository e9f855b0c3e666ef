import { expect, test } from 'vitest'
import { deprecatedPath, paths } from '../../src/api/paths.ts'

test('no two routes answer the same request', () => {
  const routes = Object.values(paths).map(({ method, path }) => `${method} ${path}`)

  expect(new Set(routes).size).toBe(routes.length)
})

test.each([
  ['/v1/services', true],
  ['/v5/a/b', true],
  ['/v1', false],
  ['/v6/services', false],
  ['/v0/services', false],
])('%s is of a version that is gone: %s', (path, gone) => {
  expect(deprecatedPath.test(path)).toBe(gone)
})
