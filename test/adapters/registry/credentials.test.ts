import { expect, test } from 'vitest'
import {
  describeCredentials,
  mergeKeychains,
  parseDockerConfig,
  parseRegistryHost,
} from '../../../src/adapters/registry/credentials.ts'

const auth = (text: string) => Buffer.from(text).toString('base64')
const config = (auths: Record<string, unknown>) => JSON.stringify({ auths })

test.each([
  ['gcr.io', 'gcr.io'],
  ['https://gcr.io', 'gcr.io'],
  ['https://gcr.io/v1/', 'gcr.io'],
  ['gcr.io/v1', 'gcr.io'],
  ['telnet://gcr.io/v1', 'gcr.io'],
  ['localhost:5000/v2/', 'localhost:5000'],
  ['192.168.99.100:5000', '192.168.99.100:5000'],
  ['https://192.168.99.100:5000/v2', '192.168.99.100:5000'],
  ['https://my.domain.name:5000/v2', 'my.domain.name:5000'],
  ['host', 'host'],
  ['GHCR.io', 'ghcr.io'],
  ['https://user:pw@gcr.io/v1', 'gcr.io'],
  ['https://index.docker.io/v1/', 'index.docker.io'],
  ['docker.io', 'index.docker.io'],
  ['https://registry-1.docker.io/v2/', 'index.docker.io'],
])('the key %s names %s', (key, host) => {
  expect(parseRegistryHost(key)).toBe(host)
})

test.each(['', 'https://', '^#invalid.io/v1/', '/var/user'])('the key "%s" names no host', (key) => {
  expect(parseRegistryHost(key)).toBeUndefined()
})

test('reads users and passwords, which may hold colons', () => {
  const keychain = parseDockerConfig(
    config({ 'https://gcr.io': { auth: auth('user:a:b:c') } }),
    'demo:secret/pull',
  )

  expect(keychain).toEqual(
    new Map([['gcr.io', { user: 'user', password: 'a:b:c', source: 'demo:secret/pull' }]]),
  )
})

test('reads the older form without auths', () => {
  const keychain = parseDockerConfig(
    JSON.stringify({ 'quay.io': { auth: auth('u:p'), email: 'x' } }),
    'demo:secret/pull',
  )

  expect([...keychain.keys()]).toEqual(['quay.io'])
})

test.each([
  { fault: 'text that is no JSON', text: 'S3CRET not json' },
  { fault: 'a list', text: '["S3CRET"]' },
  { fault: 'an entry without auth', text: config({ 'gcr.io': { username: 'u', password: 'S3CRET' } }) },
  { fault: 'auth without a colon', text: config({ 'gcr.io': { auth: auth('S3CRET') } }) },
  { fault: 'auth that is no base64', text: config({ 'gcr.io': { auth: 'S3CRET:S3CRET' } }) },
  { fault: 'a key without a host', text: config({ '/x': { auth: auth('u:S3CRET') } }) },
  { fault: 'a key with a password', text: config({ 'https://u:S3CRET@/x': { auth: auth('u:p') } }) },
  {
    fault: 'one bad entry among good ones',
    text: config({ 'gcr.io': { auth: auth('u:S3CRET') }, 'quay.io': { auth: '' } }),
  },
])('refuses $fault, naming the source and no secret', ({ text }) => {
  let thrown: unknown
  try {
    parseDockerConfig(text, 'demo:secret/pull')
  } catch (error) {
    thrown = error
  }

  expect(thrown).toMatchObject({ code: 'REGISTRY_CREDENTIALS_INVALID' })
  const shown = (thrown as { help: string }).help
  expect(shown).toContain('demo:secret/pull')
  expect(shown).not.toContain('S3CRET')
  expect(thrown).not.toHaveProperty('cause')
})

test('a later keychain overrides an earlier one, host by host', () => {
  const account = parseDockerConfig(
    config({ 'a.io': { auth: auth('u:1') }, 'b.io': { auth: auth('u:1') } }),
    'account',
  )
  const pod = parseDockerConfig(config({ 'b.io': { auth: auth('u:2') } }), 'pod')

  const merged = mergeKeychains(account, pod)

  expect(merged.get('a.io')?.source).toBe('account')
  expect(merged.get('b.io')).toMatchObject({ password: '2', source: 'pod' })
})

test('shows who and from where, never the password', () => {
  const credentials = { user: 'robot', password: 'S3CRET', source: 'demo:secret/pull' }

  expect(describeCredentials('gcr.io', credentials)).toBe(
    '<registry creds for robot@gcr.io, from demo:secret/pull>',
  )
  expect(describeCredentials('gcr.io', undefined)).toBe('<zero creds>')
})
