import { expect, test } from 'vitest'
import { parseLabelSelector } from '../../../../src/playground/kube-api/rest/label-selector.ts'

const labels = { app: 'web', tier: 'front', n: '3' }

test.each([
  ['', true],
  ['app', true],
  ['!app', false],
  ['! none', true],
  ['app=web', true],
  ['app==web', true],
  ['app = web , tier', true],
  ['app!=web', false],
  ['none!=web', true],
  ['none=', false],
  ['app in (web, db)', true],
  ['app in (db)', false],
  ['app notin (db)', true],
  ['none notin (db)', true],
  ['app in (db,),none', false],
  ['n>2,n<4', true],
  ['n>3', false],
  ['in in (in),app', false],
])('%s of a web front: %s', (selector, selected) => {
  expect(parseLabelSelector(selector)(labels)).toBe(selected)
})

test.each([
  ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ['=x', "found '=', expected: !, identifier, or 'end of string'"],
  ['a=b,', "found '', expected: identifier after ','"],
  ['a=b c', "found 'c', expected: ',' or 'end of string'"],
  ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['a in b', "unable to parse requirement: found 'b' expected: '('"],
  ['a=(', "unable to parse requirement: found '(', expected: identifier"],
  ['!=a', "found '!=', expected: !, identifier, or 'end of string'"],
])('%s is refused', (selector, message) => {
  expect(() => parseLabelSelector(selector)).toThrow(message)
})
