import { describe, expect, test } from 'vitest'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'

const deployment = (name: string, namespace?: string) =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: ${name}\n${namespace ? `  namespace: ${namespace}\n` : ''}`

const idsOf = (text: string | Uint8Array) => parseManifestFile('app.yaml', text).manifests.map(({ id }) => id)
const faultsOf = (text: string | Uint8Array) => parseManifestFile('app.yaml', text).faults

describe('a file as a stream of documents', () => {
  test('an empty file holds nothing', () => {
    expect(parseManifestFile('app.yaml', '')).toEqual({
      path: 'app.yaml',
      text: '',
      manifests: [],
      faults: [],
    })
  })

  test('each document is a manifest, named by the namespace that it writes', () => {
    const text = `# comments only\n---\n${deployment('b-deployment', 'b-namespace')}---\n${deployment('a-deployment')}`

    expect(idsOf(text)).toEqual(['b-namespace:deployment/b-deployment', '<cluster>:deployment/a-deployment'])
  })

  test.each([
    { name: 'empty documents', text: `---\n---\n...\n---\n${deployment('a')}---\n...\n---\n` },
    { name: 'text behind the marker', text: `--- # a comment\n${deployment('a')}` },
    { name: 'a document behind an end marker', text: `# nothing\n...\n${deployment('a')}` },
    { name: 'a directive', text: `%YAML 1.1\n# why\n---\n${deployment('a')}...\n` },
    { name: 'documents without a kind', text: `a: 1\n---\nb: [1]\nkind:\n---\n${deployment('a')}` },
    { name: 'a byte order mark', text: `\ufeff---\n${deployment('a')}` },
    { name: 'CRLF', text: `---\n${deployment('a')}---\n`.replaceAll('\n', '\r\n') },
    { name: 'a marker within a block', text: `${deployment('a')}data: |\n  ---\n  x\n` },
  ])('reads through $name', ({ text }) => {
    expect([idsOf(text), faultsOf(text)]).toEqual([['<cluster>:deployment/a'], []])
  })

  test('a document of a mebibyte is read', () => {
    expect(idsOf(`${deployment('a')}data: ${'x'.repeat(1024 * 1024)}\n`)).toEqual(['<cluster>:deployment/a'])
  })

  test('the byte order mark stays in the text', () => {
    const bytes = new TextEncoder().encode(`\ufeff${deployment('a')}`)

    expect(parseManifestFile('app.yaml', bytes).text.startsWith('\ufeffapiVersion')).toBe(true)
  })

  test('a manifest knows the line on which it begins', () => {
    const text = `# one\n---\n# three\n${deployment('a')}---\nkind: List\nitems:\n- ${deployment('b').replaceAll('\n', '\n  ')}`

    expect(parseManifestFile('app.yaml', text).manifests.map(({ name, line }) => [name, line])).toEqual([
      ['a', 4],
      ['b', 11],
    ])
  })
})

describe('lists', () => {
  test.each(['List', 'DeploymentList'])('the items of a %s are manifests', (kind) => {
    const item = (name: string) => `- ${deployment(name, 'ns').trimEnd().replaceAll('\n', '\n  ')}\n`

    expect(idsOf(`apiVersion: v1\nkind: ${kind}\nitems:\n${item('a')}${item('b')}`)).toEqual([
      'ns:deployment/a',
      'ns:deployment/b',
    ])
  })

  test('a list within a list is opened as well', () => {
    expect(
      idsOf('kind: List\nitems: [{kind: List, items: [{kind: Service, metadata: {name: a}}]}]\n'),
    ).toEqual(['<cluster>:service/a'])
  })

  test('a list without items is nothing, but a resource whose kind ends so is one', () => {
    expect(idsOf('kind: List\n---\nkind: List\nitems:\n---\nkind: AllowList\nmetadata: {name: a}\n')).toEqual(
      ['<cluster>:allowlist/a'],
    )
  })

  test('broken items are faults, the others are read', () => {
    const text =
      'kind: List\nitems:\n- metadata: {name: a}\n-\n- text\n- kind: Service\n  metadata: {name: b}\n'
    const { manifests, faults } = parseManifestFile('app.yaml', text)

    expect(manifests.map(({ id }) => id)).toEqual(['<cluster>:service/b'])
    expect(faults.map(({ what }) => what)).toEqual([
      'app.yaml:3:3: an item of a list has no kind',
      'app.yaml:4:2: an item of a list must be a map, not nothing',
      'app.yaml:5:3: an item of a list must be a map, not plain text',
    ])
  })
})

describe('faults', () => {
  test.each([
    {
      text: `${deployment('a')}spec:\n\treplicas: 1\n`,
      what: 'app.yaml:6:1: tab characters must not be used in indentation',
      next: 'spaces',
    },
    {
      text: 'just text\n',
      what: 'app.yaml:1:1: a document must be a map, not plain text',
      next: 'apiVersion',
    },
    { text: '- a\n', what: 'app.yaml:1:1: a document must be a map, not a sequence', next: 'apiVersion' },
    { text: 'kind: {a: 1}\n', what: 'app.yaml:1:1: kind must be text', next: 'kind' },
    { text: 'kind: A\nmetadata: text\n', what: 'app.yaml:1:1: metadata must be a map', next: 'metadata' },
    {
      text: 'kind: A\nmetadata: {name: [a]}\n',
      what: 'app.yaml:1:1: metadata.name must be text',
      next: 'text',
    },
    {
      text: 'kind: AList\nitems: a\n',
      what: 'app.yaml:1:1: the items of a AList must be a sequence',
      next: 'dash',
    },
    { text: 'a: *b\n', what: 'app.yaml:1:4: there is no anchor &b before this alias', next: 'indentation' },
    {
      text: 'a: &b [*b]\n',
      what: 'app.yaml:1:8: the anchor &b contains itself',
      next: 'aliases',
      code: 'ALIAS_BOMB',
    },
    { text: 'a: .inf\n', what: 'app.yaml:1:4: .inf is not a value that JSON has', next: 'quotes' },
    { text: '? [a]\n: b\n', what: 'app.yaml:1:3: a key must be a scalar', next: 'quotes' },
    {
      text: 'image: {{ .Values.image }}\n',
      what: 'app.yaml:1:9: a key must be a scalar',
      next: 'Chart.yaml',
    },
    {
      text: `a: ${'['.repeat(101)}${']'.repeat(101)}\n`,
      what: /nested deeper than 100 levels/,
      code: 'TOO_DEEP',
    },
    {
      text: `a: ${'x'.repeat(3 * 1024 * 1024)}\n`,
      what: 'app.yaml:1:1: the document is larger than 3 MiB',
      code: 'TOO_LARGE',
    },
    {
      text: 'a: 1\n---\n'.repeat(500_000),
      what: 'app.yaml:1:1: the file is larger than 4 MiB',
      code: 'TOO_LARGE',
    },
    {
      text: '---\n'.repeat(1_000_000),
      what: 'app.yaml:1:1: the file has more than 20000 documents',
      next: 'Split it',
      code: 'TOO_MANY',
    },
    { text: new Uint8Array([0x61, 0xff]), what: 'app.yaml:1:1: the file is not UTF-8 text', next: 'UTF-8' },
  ])('names $what', ({ text, what, next, code }) => {
    const [fault, ...others] = faultsOf(text)

    expect(others).toEqual([])
    expect(fault?.what).toEqual(typeof what === 'string' ? what : expect.stringMatching(what))
    expect(fault?.next).toContain(next ?? '')
    expect(fault?.code).toContain(code ?? 'MANIFEST_')
  })

  test('aliases that stand for too much are refused, quickly', () => {
    const layers = Array.from(
      { length: 12 },
      (_, i) => `a${i}: &a${i} [${Array(10).fill(i ? `*a${i - 1}` : 'x')}]`,
    )

    expect(faultsOf(`${layers.join('\n')}\n`).map(({ code }) => code)).toEqual(['MANIFEST_ALIAS_BOMB'])
  })

  test('ten thousand aliased nodes are fine', () => {
    const text = `kind: A\nmetadata: {name: a}\na: &a [${Array(98).fill('x')}]\nb: [${Array(100).fill('*a')}]\n`

    expect(faultsOf(text)).toEqual([])
  })

  test.each(['[', '{a: ', '- ', '? ', '!a ', '&a ', '"', '|'])(
    'a megabyte of %s is refused, not fallen over',
    (mark) => {
      expect(faultsOf(mark.repeat(1_000_000 / mark.length)).length).toBe(1)
    },
  )

  test('a document that cannot be read does not hide the others of its file', () => {
    const text = `${deployment('a')}---\na: [\n---\n${deployment('b')}`
    const { manifests, faults } = parseManifestFile('app.yaml', text)

    expect(manifests.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(faults.map(({ what }) => what.split(':').slice(0, 2))).toEqual([['app.yaml', '7']])
  })
})
