import { expect, test } from 'vitest'
import { canonical, templateHash } from '../../../../src/playground/kube-api/controllers/owners.ts'

test('equal values have the same text, whatever the order of their fields and however long their numbers', () => {
  const long = 9_007_199_254_740_993n

  expect(canonical({ b: [1, { d: null, c: long }], a: 'x' })).toBe(
    canonical({ a: 'x', b: [1, { c: long, d: null }] }),
  )
  expect(templateHash({ spec: { seconds: long } })).not.toBe(templateHash({ spec: { seconds: long + 1n } }))
})
