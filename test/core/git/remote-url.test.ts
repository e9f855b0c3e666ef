import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { equivalentUrls, isHttpUrl, safeUrl, withoutUserInfo } from '../../../src/core/git/remote-url.ts'

describe('a safe URL', () => {
  test.each([
    { url: 'git@github.com:fluxcd/x', safe: 'ssh://git@github.com/fluxcd/x' },
    { url: 'https://user:pw@h/x.git', safe: 'https://user@h/x.git' },
    { url: 'https://tok:@h/x', safe: 'https://tok@h/x' },
    { url: 'host:path/repo', safe: 'ssh://host/path/repo' },
    { url: 'git@host:2222/x.git', safe: 'ssh://git@host/2222/x.git' },
    { url: '/local/path', safe: 'file:///local/path' },
    { url: '', safe: 'file:' },
    // and beyond the list of v1's own vectors
    { url: 'ssh://git@h:2222/x.git', safe: 'ssh://git@h:2222/x.git' },
    { url: 'ssh://git:pw@h/x', safe: 'ssh://git@h/x' },
    { url: 'git:pw@host:org/x.git', safe: 'ssh://git@host/org/x.git' },
    { url: 'git:p@w:d@host:/x', safe: 'ssh://git@host/x' },
    { url: 'host:org/a@b:c', safe: 'ssh://host/org/a@b:c' },
    { url: 'git@host:/abs/x', safe: 'ssh://git@host/abs/x' },
    { url: 'https://h/x?a=b', safe: 'https://h/x?a=b' },
    { url: 'https://[::1]:8443/x', safe: 'https://[::1]:8443/x' },
    { url: 'https://user:p%40w@h/x', safe: 'https://user@h/x' },
    { url: 'https://a@b:c@h/x', safe: 'https://a@b@h/x' },
    { url: '/with space/ü', safe: 'file:///with%20space/%C3%BC' },
    { url: './a:b', safe: 'file://./a:b' },
  ])('of "$url" is "$safe"', ({ url, safe }) => {
    expect(safeUrl(url)).toBe(safe)
  })

  test.each([
    { url: 'https://user:pa/ss@h/x', shown: '<unparseable: https://h/x>' },
    { url: 'https://user:secret@h:port/x', shown: '<unparseable: https://h:port/x>' },
    { url: 'https://user:secret@h/x\n', shown: '<unparseable: https://h/x\n>' },
  ])('of what is none says so, and still hides the password: $url', ({ url, shown }) => {
    expect(safeUrl(url)).toBe(shown)
  })

  test('never shows a password', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,5}$/), fc.string({ minLength: 1 }), (user, password) => {
        const hidden = `~${encodeURIComponent(password.replace(/[\ud800-\udfff]/g, ''))}~`

        expect(safeUrl(`https://${user}:${hidden}@example.com/x`)).toBe(`https://${user}@example.com/x`)
      }),
    )
  })
})

test.each([
  { a: 'git@github.com:fluxcd/flux', b: 'ssh://git@github.com/fluxcd/flux.git', same: true },
  { a: 'git@github.com:fluxcd/flux', b: 'https://github.com/fluxcd/flux.git', same: true },
  { a: 'https://user:pw@h/x', b: 'http://h/x.git', same: true },
  { a: 'git@github.com:fluxcd/flux', b: 'git@github.com:fluxcd/flux2', same: false },
  { a: 'https://h:8443/x', b: 'https://h/x', same: false },
  { a: 'https://h/x', b: 'https://other/x', same: false },
  { a: '/srv/x.git', b: 'file:///srv/x', same: true },
  { a: 'https://h:port/x', b: 'https://h:port/x', same: true },
  { a: 'https://h:port/x', b: 'https://h/x', same: false },
])('$a and $b: the same repository is $same', ({ a, b, same }) => {
  expect([equivalentUrls(a, b), equivalentUrls(b, a)]).toEqual([same, same])
})

test.each([
  { url: 'https://h/x', http: true },
  { url: 'HTTP://h/x', http: true },
  { url: 'git@h:x', http: false },
  { url: 'ssh://h/x', http: false },
  { url: '/https', http: false },
  { url: '', http: false },
])('$url is reached over HTTP: $http', ({ url, http }) => {
  expect(isHttpUrl(url)).toBe(http)
})

test.each([
  {
    text: "fatal: unable to access 'https://user:pw@h/x/': no",
    shown: "fatal: unable to access 'https://h/x/': no",
  },
  {
    text: "fatal: could not read Password for 'https://tok@h'",
    shown: "fatal: could not read Password for 'https://h'",
  },
  { text: 'ssh://git:pw@h/x and ssh://git@h/x', shown: 'ssh://git@h/x and ssh://git@h/x' },
  { text: 'two: http://a@b/c http://d:e@f/g', shown: 'two: http://b/c http://f/g' },
  { text: 'https://h/a@b', shown: 'https://h/a@b' },
  { text: 'mail me@example.com', shown: 'mail me@example.com' },
])('drops users and passwords from "$text"', ({ text, shown }) => {
  expect(withoutUserInfo(text)).toBe(shown)
})
