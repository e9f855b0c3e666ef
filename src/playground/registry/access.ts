import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { RegistryProblem } from './problem.ts'

/** Who may do what: nobody is asked, a password, or a token that was given for it (`docs/spec/auth/token` of distribution). */

export type RegistryAuth =
  | { type: 'basic'; user: string; password: string }
  /** without a user everyone gets a token */
  | { type: 'token'; user?: string; password?: string }

export interface Access {
  /** @throws RegistryProblem `UNAUTHORIZED` with the challenge */
  check(request: IncomingMessage, path: string): void
  /** Give a token for what `scope` asks. @throws RegistryProblem `UNAUTHORIZED` */
  issue(request: IncomingMessage, scopes: readonly string[]): string
  expire(): void
}

export interface AccessOptions {
  auth: RegistryAuth | undefined
  /** where to get tokens */
  realm: () => string
}

/** Any registry of this process takes the tokens of any other: one may be the realm of another. */
const secret = randomBytes(32)

export function createAccess({ auth, realm }: AccessOptions): Access {
  let generation = 0

  const sign = (scopes: readonly string[]) => {
    const claims = Buffer.from(JSON.stringify({ generation, scopes })).toString('base64url')
    return `${claims}.${createHmac('sha256', secret).update(claims).digest('base64url')}`
  }
  const scopesOf = (token: string): readonly string[] | undefined => {
    const [claims = '', signature] = token.split('.')
    if (signature !== createHmac('sha256', secret).update(claims).digest('base64url')) return undefined
    const read = JSON.parse(Buffer.from(claims, 'base64url').toString()) as {
      generation: number
      scopes: string[]
    }
    return read.generation === generation ? read.scopes : undefined
  }

  return {
    check(request, path) {
      if (!auth) return
      const { method = 'GET', headers } = request
      if (auth.type === 'basic') {
        if (headers.authorization === basic(auth.user, auth.password)) return
        throw new RegistryProblem('UNAUTHORIZED', undefined, {
          'www-authenticate': 'Basic realm="registry"',
        })
      }
      const wanted = scopeOf(method, path)
      const scopes = scopesOf(/^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '')
      if (scopes && (wanted === '' || scopes.some((scope) => covers(scope, wanted)))) return
      const scope = wanted && `,scope="${wanted}"`
      throw new RegistryProblem('UNAUTHORIZED', undefined, {
        'www-authenticate': `Bearer realm="${realm()}",service="test"${scope}`,
      })
    },
    issue(request, scopes) {
      const { user, password = '' } = auth?.type === 'token' ? auth : {}
      if (user !== undefined && request.headers.authorization !== basic(user, password)) {
        throw new RegistryProblem('UNAUTHORIZED')
      }
      return sign(scopes)
    },
    expire() {
      generation += 1
    },
  }
}

/** What a token must be for, so that a request passes; empty where any will do. */
function scopeOf(method: string, path: string): string {
  if (path === '/v2/_catalog') return 'registry:catalog:*'
  const name = /^\/v2\/(.+)\/(?:tags|manifests|blobs)\//.exec(path)?.[1]
  if (name === undefined) return ''
  if (method === 'DELETE' && !path.includes('/uploads/')) return `repository:${name}:delete`
  return `repository:${name}:${method === 'GET' || method === 'HEAD' ? 'pull' : 'pull,push'}`
}

/** Whether a scope that was given has every action that is wanted, of the same thing. */
function covers(given: string, wanted: string): boolean {
  const split = (scope: string) => [
    scope.slice(0, scope.lastIndexOf(':')),
    scope.slice(scope.lastIndexOf(':') + 1).split(','),
  ]
  const [thing, actions = []] = split(given)
  const [wantedThing, wantedActions = []] = split(wanted)
  const has = (action: string) => actions.includes(action) || actions.includes('*')
  return thing === wantedThing && [...wantedActions].every(has)
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
