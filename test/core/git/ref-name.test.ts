import { expect, test } from 'vitest'
import { isFullHash, isRefName, notesRefName } from '../../../src/core/git/ref-name.ts'

test.each(['main', 'feature/a', 'refs/heads/main', 'HEAD', 'v1.2.3', 'a-b', 'ü', 'deadbeef', 'a@b', 'a{b'])(
  'takes %s for a ref',
  (name) => {
    expect(isRefName(name)).toBe(true)
  },
)

test.each([
  '',
  '@',
  '-x',
  '--upload-pack=touch /tmp/x',
  'a b',
  'a\nb',
  'a\tb',
  'a\0b',
  'a\x7f',
  'a..b',
  'a~1',
  'a^',
  'a^{tree}',
  'a:b',
  'a?',
  'a*',
  'a[b',
  'a\\b',
  'a@{1}',
  '.a',
  'a/.b',
  'a.',
  'a.lock',
  'a.lock/b',
  '/a',
  'a/',
  'a//b',
])('refuses %j', (name) => {
  expect(isRefName(name)).toBe(false)
})

test.each([
  { text: 'a'.repeat(40), full: true },
  { text: '0'.repeat(64), full: true },
  { text: 'a'.repeat(39), full: false },
  { text: 'A'.repeat(40), full: false },
  { text: `${'a'.repeat(40)}\n`, full: false },
])('$text is a full hash: $full', ({ text, full }) => {
  expect(isFullHash(text)).toBe(full)
})

test.each([
  { ref: 'flux', full: 'refs/notes/flux' },
  { ref: 'notes/flux', full: 'refs/notes/flux' },
  { ref: 'refs/notes/flux', full: 'refs/notes/flux' },
  { ref: 'team/a', full: 'refs/notes/team/a' },
])('notes ref $ref is $full', ({ ref, full }) => {
  expect(notesRefName(ref)).toBe(full)
})
