import { FluxError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RegistryCredentials } from '../../ports/registry.ts'
import type { Target } from './grammar.ts'
import type { Transport } from './transport.ts'

/**
 * Getting in: a registry answers 401 with a challenge, which asks for a password (`Basic`) or for a token that
 * another address, the realm, gives out (`Bearer`). Challenges are remembered by host and tokens by what they are
 * for, so that a second image costs no second 401.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */

type Challenge = { scheme: 'basic' } | { scheme: 'bearer'; realm: URL; service: string | undefined }

interface Token {
  fetched: Promise<FetchedToken>
  /** once it is there */
  text?: string
  /** by the monotonic clock */
  expiresAtMs: number
}

interface FetchedToken {
  text: string
  lifeMs: number
}

/** How long a token lasts that does not say so, and the least that one is trusted for. */
const shortestTokenMs = 60_000
/** Tokens end this much sooner for us than for the registry. */
const marginMs = 10_000
const maxTokens = 10_000

export class Authorizer {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #challenges = new Map<string, Challenge>()
  readonly #tokens = new Map<string, Token>()

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport
    this.#clock = clock
  }

  /** The `Authorization` to send at once, by what the host has asked for before. */
  async authorize(target: Target, credentials: RegistryCredentials | undefined): Promise<string | undefined> {
    const challenge = this.#challenges.get(target.host)
    return challenge && this.#answer(challenge, target, credentials)
  }

  /**
   * The `Authorization` to send after a 401, by the challenge that came with it.
   *
   * @param refused what was sent
   * @returns `undefined` where nothing can be answered, such as a password that is not known
   * @throws FluxError `REGISTRY_DENIED` | `REGISTRY_INVALID` and those of `Transport.get`
   */
  async answerChallenge(
    header: string | undefined,
    refused: string | undefined,
    target: Target,
    credentials: RegistryCredentials | undefined,
  ): Promise<string | undefined> {
    const challenge = parseChallenge(header ?? '')
    if (!challenge) return undefined
    this.#challenges.set(target.host, challenge)
    if (challenge.scheme === 'bearer') {
      const key = tokenKey(challenge, target, credentials)
      if (refused === `Bearer ${this.#tokens.get(key)?.text}`) this.#tokens.delete(key)
    }
    return this.#answer(challenge, target, credentials)
  }

  async #answer(
    challenge: Challenge,
    target: Target,
    credentials: RegistryCredentials | undefined,
  ): Promise<string | undefined> {
    if (challenge.scheme === 'basic') return credentials && basic(credentials)
    return `Bearer ${await this.#token(challenge, target, credentials)}`
  }

  /** A token from the cache, or a new one. Those who ask at the same time share one request. */
  async #token(
    challenge: Challenge & { scheme: 'bearer' },
    target: Target,
    credentials: RegistryCredentials | undefined,
  ): Promise<string> {
    const key = tokenKey(challenge, target, credentials)
    const known = this.#tokens.get(key)
    if (known && known.expiresAtMs > this.#clock.monotonicMs()) return (await known.fetched).text

    if (this.#tokens.size >= maxTokens) this.#tokens.clear()
    const token: Token = {
      fetched: this.#fetchToken(challenge, target, credentials),
      expiresAtMs: Number.POSITIVE_INFINITY,
    }
    this.#tokens.set(key, token)
    try {
      const { text, lifeMs } = await token.fetched
      token.text = text
      token.expiresAtMs = this.#clock.monotonicMs() + lifeMs - marginMs
      return text
    } catch (error) {
      this.#tokens.delete(key)
      throw error
    }
  }

  async #fetchToken(
    { realm, service }: Challenge & { scheme: 'bearer' },
    target: Target,
    credentials: RegistryCredentials | undefined,
  ): Promise<FetchedToken> {
    if (realm.protocol !== 'https:' && !this.#transport.isInsecure(realm.host)) {
      throw denied(target, credentials, `It asks to fetch a token from ${realm.host}, which is not on HTTPS.`)
    }
    const trusted = isOwnRealm(realm, target.host)
    const url = new URL(realm)
    if (service !== undefined) url.searchParams.set('service', service)
    url.searchParams.set('scope', `repository:${target.repository}:pull`)

    const reply = await this.#transport.follow(url, {
      ...(credentials && trusted && { authorization: basic(credentials) }),
    })
    if (reply.status >= 400 && reply.status < 500) {
      const withheld = credentials && !trusted
      throw denied(
        target,
        credentials,
        withheld
          ? `Its tokens come from ${realm.host}, a host of others, to which credentials are not sent.`
          : `${realm.host} gives no token (${reply.status}).`,
      )
    }
    const read = reply.status === 200 ? readToken(reply.body) : undefined
    if (!read) {
      throw new FluxError('REGISTRY_UNAVAILABLE', {
        what: `cannot get a token for ${target.name}`,
        why: `${realm.host} answered ${reply.status} without one.`,
        next: `It is tried again later. If it lasts, look at the state of ${realm.host}.`,
      })
    }
    return read
  }
}

/** Token hosts of providers that share no domain with their registry. */
const foreignRealms: readonly { registry: RegExp; realm: string }[] = [
  { registry: /^nvcr\.io$/, realm: 'authn.nvidia.com' },
  { registry: /\.scw\.cloud$/, realm: 'api.scaleway.com' },
]

/**
 * Whether a realm may see the credentials of a registry: it is on the same host, or under the domain that the
 * registry is directly under (`index.docker.io` and `auth.docker.io`, `registry.example.com` and
 * `gitlab.example.com`), or known as its provider's.
 */
function isOwnRealm({ protocol, hostname: realm }: URL, host: string): boolean {
  const registry = new URL(`${protocol}//${host}`).hostname
  if (realm === registry) return true
  if (foreignRealms.some((known) => known.registry.test(registry) && known.realm === realm)) return true
  const domain = registry.slice(registry.indexOf('.') + 1)
  const isName = /[a-z]$/.test(registry) && domain.includes('.')
  return isName && (realm === domain || realm.endsWith(`.${domain}`))
}

/** Read `WWW-Authenticate`; of several challenges `Bearer` is preferred. */
export function parseChallenge(header: string): Challenge | undefined {
  const bearer = /(?:^|,)\s*bearer\s+(.*)$/is.exec(header)?.[1]
  if (bearer !== undefined) {
    const parameter = (name: string) => {
      const [, quoted, plain] =
        new RegExp(`(?:^|[\\s,])${name}=(?:"([^"]*)"|([^",\\s]+))`, 'i').exec(bearer) ?? []
      return quoted ?? plain
    }
    const realm = parameter('realm')
    const url = realm !== undefined && URL.canParse(realm) ? new URL(realm) : undefined
    if (url && /^https?:$/.test(url.protocol)) {
      url.username = ''
      url.password = ''
      return { scheme: 'bearer', realm: url, service: parameter('service') }
    }
  }
  return /(?:^|,)\s*basic\b/i.test(header) ? { scheme: 'basic' } : undefined
}

function readToken(body: Buffer): FetchedToken | undefined {
  let document: unknown
  try {
    document = JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
  if (!isJsonObject(document)) return undefined
  const text = document['token'] || document['access_token']
  if (typeof text !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(text)) return undefined
  const seconds = Number(document['expires_in'] ?? 0)
  return { text, lifeMs: Math.max(shortestTokenMs, seconds * 1000 || 0) }
}

function tokenKey(
  { realm }: Challenge & { scheme: 'bearer' },
  { host, repository }: Target,
  credentials: RegistryCredentials | undefined,
): string {
  return JSON.stringify([host, realm.href, repository, credentials?.user, credentials?.password])
}

function basic({ user, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** The registry does not let us see an image. */
export function denied(target: Target, credentials: RegistryCredentials | undefined, why: string): FluxError {
  return new FluxError('REGISTRY_DENIED', {
    what: `unauthorized: ${target.host} denies access to ${target.name}`,
    why,
    next: credentials
      ? `Check the credentials for ${target.host} in ${credentials.source}.`
      : `If the image is private, give its workload an imagePullSecret for ${target.host}, or fluxd a --docker-config.`,
  })
}
