import { FluxError } from '../errors.ts'
import { isJsonObject, type JsonValue } from '../json.ts'
import { isTooLong, matchAllTags, maxPatternBytes, parsePattern, type TagPattern } from './pattern.ts'

/**
 * Policies: what people tell Flux about a workload, as annotations of its manifest. Values are text; a flag such as
 * `automated` holds only with exactly `true`. Unknown policies are read and kept like known ones.
 *
 * Follows `spec/flux-v1/resources.md` §4. Where several prefixes give the same policy, the first of `prefixes` wins.
 */

/** Settings of a workload, as annotations in its manifest: policy name without prefix → value. */
export type Policies = ReadonlyMap<string, string>

/** What to change on one workload. `null` where the wire had no such key, which is echoed. */
export interface PolicyUpdate {
  add: ReadonlyMap<string, string> | null
  /** only the names count */
  remove: ReadonlyMap<string, string> | null
}

const tagPolicy = 'tag.'
const allTagsPolicy = 'tag_all'

/** Start of an annotation's key and what it stands for in a policy's name, the strongest first. */
const prefixes = [
  { annotation: 'fluxcd.io/', policy: '' },
  { annotation: 'flux.weave.works/', policy: '' },
  { annotation: 'filter.fluxcd.io/', policy: tagPolicy },
] as const

/** Policies of a manifest. Booleans and numbers count as their text, as in v1; `null` as the empty text. */
export function readPolicies(annotations: JsonValue | undefined): Policies {
  return readWith(prefixes, annotations)
}

/** Policies of a live object where releases look at it: only `fluxcd.io/` counts there. */
export function readClusterPolicies(annotations: JsonValue | undefined): Policies {
  return readWith(prefixes.slice(0, 1), annotations)
}

function readWith(
  known: readonly { annotation: string; policy: string }[],
  annotations?: JsonValue,
): Policies {
  const policies = new Map<string, string>()
  if (!isJsonObject(annotations)) return policies
  for (const prefix of known) {
    for (const [key, value] of Object.entries(annotations)) {
      if (!key.startsWith(prefix.annotation) || (typeof value === 'object' && value !== null)) continue
      const name = prefix.policy + key.slice(prefix.annotation.length)
      if (!policies.has(name)) policies.set(name, String(value ?? ''))
    }
  }
  return policies
}

/** Whether a flag is set. `ignore: sync_only` is not: it only keeps an object from being pruned. */
export function isSet(policies: Policies, flag: 'automated' | 'locked' | 'ignore'): boolean {
  return policies.get(flag) === 'true'
}

/** The pattern for the images of one container. */
export function patternFor(policies: Policies, container: string): TagPattern {
  const text = policies.get(tagPolicy + container)
  return text === undefined ? matchAllTags : parsePattern(text)
}

/**
 * What an update does to a workload: policy → new value, or `undefined` to delete it.
 *
 * `tag_all` stands for `tag.<container>` of each container and overrides what the same update says of one; `glob:*`
 * there deletes them. Removing wins over adding, and an empty value removes.
 *
 * @param containers names, init containers included
 * @throws FluxError `POLICY_PATTERN_INVALID` | `PATTERN_TOO_LONG`
 */
export function planPolicyChanges(
  update: PolicyUpdate,
  containers: readonly string[],
): Map<string, string | undefined> {
  const changes = new Map<string, string | undefined>(update.add)
  const removed = new Set(update.remove?.keys())

  const forAll = changes.get(allTagsPolicy)
  changes.delete(allTagsPolicy)
  if (forAll !== undefined) {
    for (const container of containers) {
      if (forAll === matchAllTags.text) removed.add(tagPolicy + container)
      else changes.set(tagPolicy + container, forAll)
    }
  }

  for (const [name, value] of changes) {
    if (name.startsWith(tagPolicy)) checkPattern(value ?? '')
    if (value === '') changes.set(name, undefined)
  }
  for (const name of removed) changes.set(name, undefined)
  return changes
}

function checkPattern(text: string): void {
  const { fault } = parsePattern(text)
  if (fault === undefined) return
  if (isTooLong(text)) {
    throw new FluxError('PATTERN_TOO_LONG', {
      what: `invalid tag pattern: longer than ${maxPatternBytes} bytes`,
      next: 'Write a shorter pattern, such as semver:~1.2 or glob:main-*.',
    })
  }
  throw new FluxError('POLICY_PATTERN_INVALID', {
    what: `invalid tag pattern: ${JSON.stringify(text)}`,
    why: `${fault}.`,
    next: 'Write glob:main-*, semver:~1.2 or regexp:^main-[0-9]+$ (RE2 syntax).',
  })
}

/** The annotation that holds a policy: the one that a manifest has already, otherwise `fluxcd.io/<policy>`. */
export function annotationKeyFor(policy: string, annotations: JsonValue | undefined): string {
  const present = isJsonObject(annotations) ? annotations : {}
  for (const prefix of prefixes) {
    if (!policy.startsWith(prefix.policy)) continue
    const key = prefix.annotation + policy.slice(prefix.policy.length)
    if (Object.hasOwn(present, key)) return key
  }
  return `fluxcd.io/${policy}`
}
