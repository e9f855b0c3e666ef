import { expect, test } from 'vitest'
import {
  fieldsOf,
  formatWire,
  parseBody,
  readCount,
  readFlag,
  readTime,
  timeToWire,
} from '../../src/api/json.ts'
import { readChange, readExport, readUpdateSpec } from '../../src/api/read.ts'
import { exportToWire } from '../../src/api/write.ts'

test.each([
  { body: { Force: true }, why: 'its own name' },
  { body: { force: true }, why: 'another case' },
  { body: { FORCE: false, Force: true }, why: 'the exact name before others' },
])('finds a field by $why', ({ body }) => {
  expect(fieldsOf(body, 'it')('Force')).toBe(true)
})

test('leaves the zero value where a field is null or absent', () => {
  expect(readFlag(null, 'it')).toBe(false)
  expect(readCount(undefined, 'it')).toBe(0)
  expect(fieldsOf(null, 'it')('Force')).toBeUndefined()
})

test.each([
  {
    body: '{"type":"image","spec":{"Force":"yes"}}',
    what: 'reading spec.Force: expected a boolean, found "yes"',
  },
  {
    body: '{"type":"image","spec":{"ServiceSpecs":"x"}}',
    what: 'reading spec.ServiceSpecs: expected an array',
  },
  { body: '{"type":"bogus"}', what: 'unknown spec type: bogus' },
  { body: '{"type":"auto","spec":{"Changes":null}}', what: 'unknown update type "auto"' },
  { body: '{"type":"policy","spec":{"a b":{}}}', what: 'parsing a b: invalid service ID' },
  {
    body: '{"type":"containers","spec":{"ContainerSpecs":{"a:b/c":[{"Container":"x","Current":"","Target":"y"}]}}}',
    what: 'parsing "": blank image name: invalid image ID',
  },
])('says what is wrong with $body', ({ body, what }) => {
  expect(() => readUpdateSpec(parseBody(body))).toThrow(what)
})

test('refuses a change of an unknown kind', () => {
  expect(() => readChange({ Kind: 'bogus', Source: {} })).toThrow('unknown kind of change')
})

test.each([
  { date: '2020-03-20T13:53:05.470Z', wire: '2020-03-20T13:53:05.47Z' },
  { date: '2020-03-20T13:53:00.000Z', wire: '2020-03-20T13:53:00Z' },
  { date: undefined, wire: '0001-01-01T00:00:00Z' },
])('prints $date as Go does', ({ date, wire }) => {
  expect(timeToWire(date === undefined ? undefined : new Date(date))).toBe(wire)
})

test.each([
  { text: '2020-03-20T13:53:05.47178071Z', time: '2020-03-20T13:53:05.47178071Z' },
  { text: '2020-03-20T13:53:05.500Z', time: '2020-03-20T13:53:05.5Z' },
  { text: '2020-03-21T01:02:03+02:00', time: '2020-03-21T01:02:03+02:00' },
  { text: '0001-01-01T00:00:00Z', time: undefined },
  { text: '', time: undefined },
])('reads the time "$text"', ({ text, time }) => {
  expect(readTime(text, 'it')).toBe(time)
})

test('refuses a time that is none', () => {
  expect(() => readTime('20190523', 'CreatedAt')).toThrow('reading CreatedAt: expected an RFC 3339 time')
})

test('escapes what Go escapes', () => {
  expect(formatWire('<a> & b\u2028')).toBe('"\\u003ca\\u003e \\u0026 b\\u2028"')
})

test('carries exported YAML through base64, whatever its letters', () => {
  expect(readExport(exportToWire('name: größe\n'))).toBe('name: größe\n')
})
