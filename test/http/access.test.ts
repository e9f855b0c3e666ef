import { expect, test } from 'vitest'
import { type ApiAuth, type Caller, checkAccess } from '../../src/http/access.ts'

const caller: Caller = {
  method: 'GET',
  path: '/api/flux/v6/services',
  localAddress: '10.244.0.7',
  authorization: undefined,
  host: 'localhost:3030',
  origin: undefined,
}
const loopback: ApiAuth = { mode: 'loopback' }
const token: ApiAuth = { mode: 'token', token: 'abc' }

test.each<{ what: string; auth: ApiAuth; from: Partial<Caller>; code: string | undefined }>([
  { what: 'a port-forward', auth: loopback, from: { localAddress: '127.0.0.1' }, code: undefined },
  { what: 'a port-forward over IPv6', auth: loopback, from: { localAddress: '::1' }, code: undefined },
  {
    what: 'IPv4 on an IPv6 socket',
    auth: loopback,
    from: { localAddress: '::ffff:127.0.0.1' },
    code: undefined,
  },
  { what: 'the pod network', auth: loopback, from: {}, code: 'API_NOT_EXPOSED' },
  {
    what: 'the pod network over IPv6',
    auth: loopback,
    from: { localAddress: '::ffff:10.1.2.3' },
    code: 'API_NOT_EXPOSED',
  },
  {
    what: 'a connection without an address',
    auth: loopback,
    from: { localAddress: undefined },
    code: 'API_NOT_EXPOSED',
  },
  { what: 'a probe', auth: loopback, from: { path: '/api/flux/v6/identity.pub' }, code: undefined },
  { what: 'a ping', auth: loopback, from: { path: '/api/flux/v11/ping' }, code: undefined },
  { what: 'Prometheus', auth: loopback, from: { path: '/metrics' }, code: undefined },
  {
    what: 'a new key from afar',
    auth: loopback,
    from: { method: 'POST', path: '/api/flux/v6/identity.pub' },
    code: 'API_NOT_EXPOSED',
  },
  {
    what: 'a path that only looks open',
    auth: loopback,
    from: { path: '/api/flux/v6/identity.pub/../services' },
    code: 'API_NOT_EXPOSED',
  },
  {
    what: 'a web page through a port-forward',
    auth: loopback,
    from: { method: 'POST', localAddress: '127.0.0.1', origin: 'https://example.com' },
    code: 'API_NOT_EXPOSED',
  },
  {
    what: 'a web page whose name was made to stand for this machine',
    auth: loopback,
    from: { localAddress: '127.0.0.1', host: 'rebound.example.com:3030' },
    code: 'API_NOT_EXPOSED',
  },
  ...['127.0.0.1:3030', '[::1]:3030', 'localhost', 'LOCALHOST:8080', 'flux', 'flux:3030', '', undefined].map(
    (host) => ({
      what: `a side-car that asks for ${host}`,
      auth: loopback,
      from: { localAddress: '127.0.0.1', host },
      code: undefined,
    }),
  ),
  {
    what: 'any name with a token',
    auth: token,
    from: { host: 'flux.example.com', authorization: 'Scope-Probe token=abc' },
    code: undefined,
  },
  {
    what: 'the right token',
    auth: token,
    from: { authorization: 'Scope-Probe token=abc' },
    code: undefined,
  },
  {
    what: 'a wrong token',
    auth: token,
    from: { authorization: 'Scope-Probe token=abd' },
    code: 'API_TOKEN_REFUSED',
  },
  {
    what: 'a longer token',
    auth: token,
    from: { authorization: 'Scope-Probe token=abcd' },
    code: 'API_TOKEN_REFUSED',
  },
  { what: 'another scheme', auth: token, from: { authorization: 'Bearer abc' }, code: 'API_TOKEN_REFUSED' },
  {
    what: 'loopback without a token',
    auth: token,
    from: { localAddress: '127.0.0.1' },
    code: 'API_TOKEN_REFUSED',
  },
  {
    what: 'a probe without a token',
    auth: token,
    from: { path: '/api/flux/v6/identity.pub' },
    code: undefined,
  },
  {
    what: 'an empty token where none is set',
    auth: { mode: 'token', token: '' },
    from: { authorization: 'Scope-Probe token=' },
    code: 'API_TOKEN_REFUSED',
  },
  { what: 'anybody', auth: { mode: 'none' }, from: { origin: 'https://example.com' }, code: undefined },
])('with --api-auth=$auth.mode, $what gets $code', ({ auth, from, code }) => {
  expect(checkAccess(auth, { ...caller, ...from })?.code).toBe(code)
})

test('who is turned away is told about port-forward and the flag', () => {
  const help = checkAccess(loopback, caller)?.help

  expect(help).toContain('port-forward')
  expect(help).toContain('--api-auth')
})
