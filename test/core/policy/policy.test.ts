import { expect, test } from 'vitest'
import {
  annotationKeyFor,
  isSet,
  patternFor,
  planPolicyChanges,
  readClusterPolicies,
  readPolicies,
} from '../../../src/core/policy/policy.ts'

const map = (entries: Record<string, string>) => new Map(Object.entries(entries))

test('reads the three prefixes, known and unknown policies alike', () => {
  const policies = readPolicies({
    'fluxcd.io/automated': 'true',
    'flux.weave.works/locked': 'true',
    'filter.fluxcd.io/app': 'semver:~1',
    'fluxcd.io/sync-checksum': 'abc',
    'prometheus.io/scrape': 'true',
    'helm.fluxcd.io/antecedent': 'demo:helmrelease/x',
  })

  expect(policies).toEqual(
    map({ automated: 'true', locked: 'true', 'tag.app': 'semver:~1', 'sync-checksum': 'abc' }),
  )
})

test('where prefixes collide, the newest way of writing wins', () => {
  const annotations = {
    'filter.fluxcd.io/app': 'glob:filter',
    'flux.weave.works/tag.app': 'glob:weave',
    'flux.weave.works/automated': 'false',
    'fluxcd.io/automated': 'true',
  }

  expect(readPolicies(annotations)).toEqual(map({ automated: 'true', 'tag.app': 'glob:weave' }))
})

test('takes booleans and numbers for their text', () => {
  expect(
    readPolicies({
      'fluxcd.io/automated': true,
      'fluxcd.io/tag.a': 1.1,
      'fluxcd.io/x': null,
      'fluxcd.io/y': [],
    }),
  ).toEqual(map({ automated: 'true', 'tag.a': '1.1', x: '' }))
})

test.each([undefined, null, 'text', []])('finds none in %j', (annotations) => {
  expect(readPolicies(annotations).size).toBe(0)
})

test('on live objects only fluxcd.io/ counts', () => {
  const annotations = {
    'fluxcd.io/ignore': 'true',
    'flux.weave.works/locked': 'true',
    'filter.fluxcd.io/a': '*',
  }

  expect(readClusterPolicies(annotations)).toEqual(map({ ignore: 'true' }))
})

test('a flag holds only with exactly true', () => {
  const policies = map({ automated: 'true', locked: 'True', ignore: 'sync_only' })

  expect(isSet(policies, 'automated')).toBe(true)
  expect(isSet(policies, 'locked')).toBe(false)
  expect(isSet(policies, 'ignore')).toBe(false)
  expect(isSet(new Map(), 'ignore')).toBe(false)
})

test('a container without a pattern may run every tag', () => {
  const policies = map({ 'tag.app': 'regex:^v' })

  expect(patternFor(policies, 'app').text).toBe('regexp:^v')
  expect(patternFor(policies, 'other').text).toBe('glob:*')
})

test.each([
  { add: { automated: 'true' }, remove: {}, changes: { automated: 'true' } },
  {
    add: { locked: 'true' },
    remove: { automated: 'true' },
    changes: { locked: 'true', automated: undefined },
  },
  { add: { locked: 'true' }, remove: { locked: 'true' }, changes: { locked: undefined } },
  { add: { locked: 'true', locked_msg: '' }, remove: {}, changes: { locked: 'true', locked_msg: undefined } },
  { add: { 'tag.nginx': 'glob:*' }, remove: {}, changes: { 'tag.nginx': 'glob:*' } },
  { add: { 'tag.nginx': 'foo' }, remove: {}, changes: { 'tag.nginx': 'foo' } },
  { add: { 'tag.nginx': 'semver:*' }, remove: {}, changes: { 'tag.nginx': 'semver:*' } },
  { add: { 'tag.nginx': 'regexp:(.*?)' }, remove: {}, changes: { 'tag.nginx': 'regexp:(.*?)' } },
  {
    add: { tag_all: 'semver:*' },
    remove: {},
    changes: { 'tag.nginx': 'semver:*', 'tag.init': 'semver:*' },
  },
  {
    add: { tag_all: 'glob:*', automated: 'true' },
    remove: {},
    changes: { automated: 'true', 'tag.nginx': undefined, 'tag.init': undefined },
  },
  {
    add: { 'tag.nginx': 'glob:a', tag_all: 'glob:b' },
    remove: { 'tag.init': '' },
    changes: { 'tag.nginx': 'glob:b', 'tag.init': undefined },
  },
])('plans $add without $remove', ({ add, remove, changes }) => {
  const planned = planPolicyChanges(
    { add: map(add as Record<string, string>), remove: map(remove as Record<string, string>) },
    ['nginx', 'init'],
  )

  expect(planned).toEqual(new Map(Object.entries(changes)))
})

test('absent sets change nothing', () => {
  expect(planPolicyChanges({ add: null, remove: null }, ['nginx']).size).toBe(0)
})

test.each([
  { policy: 'tag.nginx', pattern: 'semver:invalid' },
  { policy: 'tag.nginx', pattern: 'regexp:*' },
  { policy: 'tag_all', pattern: 'semver:bogus' },
])('refuses to write $policy $pattern', ({ policy, pattern }) => {
  expect(() => planPolicyChanges({ add: map({ [policy]: pattern }), remove: null }, ['nginx'])).toThrow(
    expect.objectContaining({ code: 'POLICY_PATTERN_INVALID', what: `invalid tag pattern: "${pattern}"` }),
  )
})

test('refuses to write a pattern beyond bounds', () => {
  const add = map({ 'tag.nginx': 'x'.repeat(2000) })

  expect(() => planPolicyChanges({ add, remove: null }, ['nginx'])).toThrow(
    expect.objectContaining({ code: 'PATTERN_TOO_LONG' }),
  )
})

test.each([
  { policy: 'automated', annotations: undefined, key: 'fluxcd.io/automated' },
  {
    policy: 'automated',
    annotations: { 'flux.weave.works/automated': 'true' },
    key: 'flux.weave.works/automated',
  },
  {
    policy: 'automated',
    annotations: { 'flux.weave.works/automated': 'true', 'fluxcd.io/automated': 'true' },
    key: 'fluxcd.io/automated',
  },
  { policy: 'tag.nginx', annotations: { 'filter.fluxcd.io/nginx': 'glob:*' }, key: 'filter.fluxcd.io/nginx' },
  { policy: 'nginx', annotations: { 'filter.fluxcd.io/nginx': 'glob:*' }, key: 'fluxcd.io/nginx' },
  { policy: 'tag.nginx', annotations: { 'filter.fluxcd.io/other': 'glob:*' }, key: 'fluxcd.io/tag.nginx' },
])('writes $policy under $key', ({ policy, annotations, key }) => {
  expect(annotationKeyFor(policy, annotations)).toBe(key)
})
