import { expect, test } from 'vitest'
import { parseChallenge } from '../../../src/adapters/registry/auth.ts'

test.each([
  { header: 'Basic realm="r"', challenge: { scheme: 'basic' } },
  {
    header:
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull"',
    challenge: {
      scheme: 'bearer',
      realm: new URL('https://auth.docker.io/token'),
      service: 'registry.docker.io',
    },
  },
  {
    header: 'bearer service=x, realm=https://r.io/token?a=b',
    challenge: { scheme: 'bearer', realm: new URL('https://r.io/token?a=b'), service: 'x' },
  },
  {
    header: 'Basic realm="r", Bearer realm="https://r.io/token"',
    challenge: { scheme: 'bearer', realm: new URL('https://r.io/token'), service: undefined },
  },
  {
    header: 'Bearer realm="https://user:pw@r.io/token"',
    challenge: { scheme: 'bearer', realm: new URL('https://r.io/token'), service: undefined },
  },
  { header: 'Bearer realm="file:///etc/passwd"', challenge: undefined },
  { header: 'Bearer realm="/token"', challenge: undefined },
  { header: 'Negotiate', challenge: undefined },
  { header: '', challenge: undefined },
])('reads $header', ({ header, challenge }) => {
  expect(parseChallenge(header)).toEqual(challenge)
})
