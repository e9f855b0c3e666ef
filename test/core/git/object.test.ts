import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCommit, formatTag, formatTree, parseTree, treeOfCommit } from '../../../src/core/git/object.ts'

const hash = (digit: string) => digit.repeat(40)
const identity = { name: 'Flux', email: 'flux@example.com' }
const at = new Date('2024-06-01T09:00:00.900Z')

test('a tree is ordered as if the names of folders ended in a slash', () => {
  const bytes = formatTree([
    { mode: '100644', name: 'a0', hash: hash('1') },
    { mode: '40000', name: 'a', hash: hash('2') },
    { mode: '100644', name: 'a.b', hash: hash('3') },
  ])

  expect(parseTree(bytes, 20)?.map(({ name }) => name)).toEqual(['a.b', 'a', 'a0'])
})

test('what it formats as a tree, it reads back', () => {
  const entry = fc.record({
    mode: fc.constantFrom('40000', '100644', '100755', '120000', '160000'),
    name: fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !/[\0/]/.test(name)),
    hash: fc.stringMatching(/^[0-9a-f]{64}$/),
  })
  const entries = fc.uniqueArray(entry, { selector: ({ name }) => name })
  fc.assert(
    fc.property(entries, (written) => {
      const read = parseTree(formatTree(written), 32) ?? []

      expect(new Set(read.map(({ mode, name, hash }) => ({ mode, name, hash })))).toEqual(new Set(written))
    }),
  )
})

test('the offset of a hash is where the hash can be replaced', () => {
  const bytes = Buffer.from(formatTree([{ mode: '100644', name: 'a', hash: hash('1') }]))
  const [entry] = parseTree(bytes, 20) ?? []

  bytes.write(hash('2'), entry?.hashOffset ?? 0, 'hex')

  expect(parseTree(bytes, 20)).toMatchObject([{ name: 'a', hash: hash('2') }])
})

test.each([
  { what: 'half an entry', bytes: '100644 a\0short' },
  { what: 'no name', bytes: '100644' },
])('$what is no tree', ({ bytes }) => {
  expect(parseTree(Buffer.from(bytes), 20)).toBeUndefined()
})

test('a commit has its headers, in whole seconds of UTC', () => {
  const bytes = formatCommit({
    tree: hash('1'),
    parents: [hash('2')],
    author: { name: 'Eve <x>\n', email: '' },
    committer: identity,
    at,
    message: 'Release\n',
  })

  expect(Buffer.from(bytes).toString()).toBe(
    `tree ${hash('1')}\nparent ${hash('2')}\nauthor Eve x <> 1717232400 +0000\n` +
      'committer Flux <flux@example.com> 1717232400 +0000\n\nRelease\n',
  )
  expect(treeOfCommit(bytes)).toBe(hash('1'))
})

test('a tag points to a commit', () => {
  const bytes = formatTag({
    commit: hash('1'),
    name: 'flux-sync',
    tagger: { name: '<>', email: 'flux@example.com' },
    at,
    message: 'Sync pointer\n',
  })

  expect(Buffer.from(bytes).toString()).toBe(
    `object ${hash('1')}\ntype commit\ntag flux-sync\n` +
      'tagger unknown <flux@example.com> 1717232400 +0000\n\nSync pointer\n',
  )
})
