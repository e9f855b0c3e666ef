import { expect, test } from 'vitest'
import { referenceOf, targetOf } from '../../../src/adapters/registry/grammar.ts'
import { parseImageRef } from '../../../src/core/image/ref.ts'

test.each([
  ['alpine:3', 'index.docker.io', 'library/alpine'],
  ['docker.io/org/app', 'index.docker.io', 'org/app'],
  ['GHCR.io/org/app', 'ghcr.io', 'org/app'],
  ['localhost:5000/a__b/c--d/e.f_g:1', 'localhost:5000', 'a__b/c--d/e.f_g'],
])('asks for %s at %s', (text, host, repository) => {
  expect(targetOf(parseImageRef(text))).toMatchObject({ host, repository })
})

test.each([
  'ghcr.io/Org/App',
  'ghcr.io/org/../secret',
  'ghcr.io/org/app?x=y',
  'ghcr.io/org//app',
  'ghcr.io/-org/app',
  'ghcr.io/org/app#x',
  'user@ghcr.io/org/app',
  'ghcr.io/org/ap%2fp',
  'ghcr.io:99x/org/app/b',
])('asks nobody for %s', (text) => {
  expect(() => targetOf(parseImageRef(text))).toThrow(expect.objectContaining({ code: 'IMAGE_REF_INVALID' }))
})

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  [{ repository: 'app' }, 'latest'],
  [{ repository: 'app', tag: '1' }, '1'],
  [{ repository: 'app', tag: '1', digest }, digest],
])('of %j asks for %s', (ref, reference) => {
  expect(referenceOf(ref)).toBe(reference)
})

test.each([
  { repository: 'app', tag: '5000/foo' },
  { repository: 'app', tag: '../x' },
  { repository: 'app', digest: 'sha256:abc' },
  { repository: 'app', digest: `${digest}/../x` },
])('refuses %j', (ref) => {
  expect(() => referenceOf(ref)).toThrow(expect.objectContaining({ code: 'IMAGE_REF_INVALID' }))
})
