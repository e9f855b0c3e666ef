import { expect, test } from 'vitest'
import { type ErrorCode, FluxError } from '../../src/core/errors.ts'
import { problemReply, statusOf } from '../../src/http/problem.ts'

const error = new FluxError('API_ENDPOINT_UNKNOWN', { what: 'short', why: 'longer' })
const json = 'application/json; charset=utf-8'
const text = 'text/plain; charset=utf-8'

test.each([
  { accept: undefined, type: text, body: 'short' },
  { accept: '', type: text, body: 'short' },
  { accept: '*/*', type: text, body: 'short' },
  { accept: 'text/html, */*;q=0.8', type: text, body: 'short' },
  { accept: 'application/json', type: json, body: '{"type":"missing",' },
  { accept: 'Application/JSON ; Q=0.1', type: json, body: '{"type":"missing",' },
  { accept: 'application/json; charset=utf-8', type: json, body: '{"type":"missing",' },
  { accept: 'text/plain, application/json', type: json, body: '{"type":"missing",' },
  { accept: 'application/json;q=0.5, text/plain;q=0.9', type: text, body: 'short\n\nlonger' },
  { accept: 'application/json;q=0, text/plain', type: text, body: 'short\n\nlonger' },
  { accept: 'application/json;q=0', type: text, body: 'short' },
  { accept: 'application/json;q=nonsense', type: text, body: 'short' },
])('Accept: $accept gets $type', ({ accept, type, body }) => {
  const reply = problemReply(error, accept)

  expect(reply.body?.type).toBe(type)
  expect(reply.body?.text.slice(0, body.length)).toBe(body)
})

test.each<{ code: ErrorCode; status: number }>([
  { code: 'API_BAD_REQUEST', status: 400 },
  { code: 'API_TOKEN_REFUSED', status: 401 },
  { code: 'API_NOT_EXPOSED', status: 403 },
  { code: 'API_ENDPOINT_UNKNOWN', status: 404 },
  { code: 'REQUEST_ID_REUSED', status: 409 },
  { code: 'API_VERSION_GONE', status: 410 },
  { code: 'API_BODY_TOO_LARGE', status: 413 },
  { code: 'RESOURCE_ID_INVALID', status: 422 },
  { code: 'INTERNAL', status: 500 },
])('$code is a $status', ({ code, status }) => {
  expect(statusOf(new FluxError(code, { what: '' }))).toBe(status)
})
