import { describe, expect, test } from 'vitest'
import {
  choosePublishedVersion,
  isExactVersion,
  readPublishedCharts,
} from '../../../src/core/helm/repository-index.ts'

const block = `apiVersion: v1
entries:
  other:
  - version: 9.0.0
    urls: [other-9.0.0.tgz]
  podinfo:
  - apiVersion: v1
    created: "2020-05-01T00:00:00Z"
    digest: sha256:AB12
    name: podinfo
    description: |
      other:
        of many lines
    urls:
    - https://charts.example.com/podinfo-3.1.0.tgz
    version: 3.1.0
  - version: 3.0.0
    urls:
    - podinfo-3.0.0.tgz
  "quoted-name":
    - version: 1.0.0
      urls: [q.tgz]
generated: "2020-05-02T00:00:00Z"
`
const flow = JSON.stringify({
  apiVersion: 'v1',
  entries: {
    podinfo: [
      { version: '3.1.0', urls: ['a.tgz'], digest: 'cd' },
      { version: '1.0.0', urls: [] },
    ],
  },
})

test.each([
  {
    what: 'an index as helm writes it',
    index: block,
    name: 'podinfo',
    found: [
      { version: '3.1.0', urls: ['https://charts.example.com/podinfo-3.1.0.tgz'], digest: 'ab12' },
      { version: '3.0.0', urls: ['podinfo-3.0.0.tgz'], digest: '' },
    ],
  },
  {
    what: 'a quoted name',
    index: block,
    name: 'quoted-name',
    found: [{ version: '1.0.0', urls: ['q.tgz'], digest: '' }],
  },
  { what: 'a chart that is not there', index: block, name: 'podinf', found: [] },
  {
    what: 'JSON',
    index: flow,
    name: 'podinfo',
    found: [{ version: '3.1.0', urls: ['a.tgz'], digest: 'cd' }],
  },
  {
    what: 'YAML in braces',
    index: 'entries: {podinfo: [{version: 1.0.0, urls: [a.tgz]}]}',
    name: 'podinfo',
    found: [{ version: '1.0.0', urls: ['a.tgz'], digest: '' }],
  },
  {
    what: 'Windows line ends',
    index: block.replaceAll('\n', '\r\n'),
    name: 'quoted-name',
    found: [{ version: '1.0.0', urls: ['q.tgz'], digest: '' }],
  },
  { what: 'a name of the language', index: flow, name: 'constructor', found: [] },
  { what: 'a web page', index: '<html>not found</html>', name: 'podinfo', found: undefined },
  { what: 'half an index', index: '{"entries": {"podinfo": [', name: 'podinfo', found: undefined },
])('reads $what', ({ index, name, found }) => {
  expect(readPublishedCharts(index, name)).toEqual(found)
})

describe('of versions 1.0.0, 2.0.0, 2.1.0-rc.1 and v1.5.0', () => {
  const published = ['1.0.0', '2.0.0', '2.1.0-rc.1', 'v1.5.0'].map((version) => ({ version }))

  test.each([
    { wanted: '1.0.0', chosen: '1.0.0' },
    { wanted: '', chosen: '2.0.0' },
    { wanted: '*', chosen: '2.0.0' },
    { wanted: '^1.0', chosen: 'v1.5.0' },
    { wanted: '>=2.0.0-0', chosen: '2.1.0-rc.1' },
    { wanted: '3.x', chosen: undefined },
    { wanted: 'newest please', chosen: undefined },
  ])('"$wanted" means $chosen', ({ wanted, chosen }) => {
    expect(choosePublishedVersion(published, wanted)?.version).toBe(chosen)
  })
})

test.each([
  ['1.2.3', true],
  ['v1.2.3', true],
  ['1.2.3-rc.1+build.5', true],
  ['1.2', false],
  ['~1.2.3', false],
  ['1.x', false],
])('%s is an exact version: %s', (text, exact) => {
  expect(isExactVersion(text)).toBe(exact)
})
