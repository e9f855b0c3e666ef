import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { isSame } from '../apply/patch.ts'
import { invalidValue, notSupported, required } from './causes.ts'
import type { Place } from './check.ts'
import { dnsLabel, qualified } from './names.ts'
import { checkLabels, checkPodTemplate } from './validate-pods.ts'

/** Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs and CronJobs, in the server's words and order. */

export function checkDeployment(spec: Place): void {
  spec.at('replicas').atLeast(0)
  checkSelector(spec, 'deployment')
  checkTemplate(spec, ['Always'])
  const strategy = spec.at('strategy')
  const type = strategy.at('type').text
  const rolling = strategy.at('rollingUpdate')
  if (type === 'Recreate') {
    if (rolling.isSet) rolling.forbid("may not be specified when strategy `type` is 'Recreate'")
  } else if (type === 'RollingUpdate') checkRolling(rolling)
  else strategy.add(notSupported(strategy.path, innerStrategy(strategy), ['Recreate', 'RollingUpdate']))
  spec.at('minReadySeconds').atLeast(0)
  spec.at('revisionHistoryLimit').atLeast(0)
  const deadline = spec.at('progressDeadlineSeconds')
  deadline.atLeast(0)
  if (deadline.number !== undefined && deadline.number <= (spec.at('minReadySeconds').number ?? 0)) {
    deadline.invalid('must be greater than minReadySeconds')
  }
}

/** as the server's inner form has it */
function innerStrategy(strategy: Place): JsonValue {
  return { Type: strategy.at('type').text, RollingUpdate: strategy.at('rollingUpdate').value ?? null }
}

function checkRolling(rolling: Place): void {
  const [surge, unavailable] = [rolling.at('maxSurge'), rolling.at('maxUnavailable')]
  const isNothing = (place: Place) => place.value === 0 || place.value === '0%' || !place.isSet
  checkCount(unavailable)
  checkCount(surge)
  if (isNothing(surge) && isNothing(unavailable)) unavailable.invalid('may not be 0 when `maxSurge` is 0')
  checkAtMostAll(unavailable)
}

const percentFault =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"

/** A number, or a share in percent. */
export function checkCount(place: Place): void {
  if (typeof place.value !== 'string') place.atLeast(0)
  else if (!/^[0-9]+%$/.test(place.value)) place.invalid(percentFault)
}

export function checkAtMostAll(place: Place): void {
  if (
    typeof place.value === 'string' &&
    /^[0-9]+%$/.test(place.value) &&
    Number.parseInt(place.value, 10) > 100
  ) {
    place.invalid('must not be greater than 100%')
  }
}

export function checkReplicaSet(spec: Place): void {
  spec.at('replicas').atLeast(0)
  spec.at('minReadySeconds').atLeast(0)
  checkSelector(spec, 'replicaset')
  checkTemplate(spec, ['Always'])
}

export function checkDaemonSet(spec: Place): void {
  checkSelector(spec, 'daemonset')
  checkTemplate(spec, ['Always'])
  spec.at('minReadySeconds').atLeast(0)
  const strategy = spec.at('updateStrategy')
  const type = strategy.at('type').text
  if (type === 'RollingUpdate') {
    const rolling = strategy.at('rollingUpdate')
    const [surge, unavailable] = [rolling.at('maxSurge'), rolling.at('maxUnavailable')]
    checkCount(unavailable)
    checkCount(surge)
    const isNothing = (place: Place) => place.value === 0 || place.value === '0%' || !place.isSet
    if (isNothing(surge) && isNothing(unavailable)) {
      unavailable.add(required(unavailable.path, 'cannot be 0 when maxSurge is 0'))
    }
  } else if (type !== 'OnDelete') {
    strategy.add(notSupported(strategy.path, innerStrategy(strategy), ['RollingUpdate', 'OnDelete']))
  }
  spec.at('revisionHistoryLimit').atLeast(0)
}

export function checkStatefulSet(spec: Place): void {
  const management = spec.at('podManagementPolicy')
  if (management.isEmpty) management.require()
  else if (!['OrderedReady', 'Parallel'].includes(management.text)) {
    management.invalid("must be 'OrderedReady' or 'Parallel'")
  }
  const strategy = spec.at('updateStrategy')
  const type = strategy.at('type').text
  if (type === 'RollingUpdate') strategy.at('rollingUpdate').at('partition').atLeast(0)
  else if (type !== 'OnDelete') {
    strategy.invalid("must be 'RollingUpdate' or 'OnDelete'", innerStrategy(strategy))
  }
  const retention = spec.at('persistentVolumeClaimRetentionPolicy')
  for (const when of ['whenDeleted', 'whenScaled']) retention.at(when).oneOf(['Retain', 'Delete'])
  spec.at('replicas').atLeast(0)
  spec.at('minReadySeconds').atLeast(0)
  if (spec.at('serviceName').text !== '') spec.at('serviceName').named(dnsLabel)
  checkSelector(spec, 'statefulset')
  checkTemplate(spec, ['Always'])
}

/* ---- jobs ---- */

const jobPolicies = ['OnFailure', 'Never']

export function checkJob(spec: Place): void {
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ]) {
    spec.at(field).atLeast(0)
  }
  spec.at('completionMode').oneOf(['NonIndexed', 'Indexed'])
  const completions = spec.at('completions')
  if (spec.at('completionMode').text === 'Indexed' && !completions.isSet) {
    completions.add(required(completions.path, 'when completion mode is Indexed'))
  }
  checkPodTemplate(spec.at('template'))
  checkJobPolicy(spec.at('template'))
}

/** A job that was made: the server has given it its selector and labels by now. */
export function checkJobSelector(spec: Place): void {
  if (!spec.at('selector').isSet) return
  const labels = spec.at('template').at('metadata').at('labels')
  if (!matchesSelector(spec.at('selector').object, labels.object)) {
    labels.invalid('`selector` does not match template `labels`', labels.value ?? null)
  }
}

function checkJobPolicy(template: Place): void {
  const policy = template.at('spec').at('restartPolicy')
  if (jobPolicies.includes(policy.text)) return
  const listed = jobPolicies.map((choice) => JSON.stringify(choice)).join(', ')
  if (policy.text === '' || policy.text === 'Always')
    policy.add(required(policy.path, `valid values: ${listed}`))
  else policy.add(notSupported(policy.path, policy.text, jobPolicies))
}

export function checkCronJob(spec: Place): void {
  const schedule = spec.at('schedule')
  if (schedule.require()) {
    const fault = scheduleFault(schedule.text)
    if (fault !== undefined) schedule.invalid(fault)
  }
  spec.at('startingDeadlineSeconds').atLeast(0)
  const zone = spec.at('timeZone')
  if (zone.isSet) {
    if (zone.text === '') zone.invalid('timeZone must be nil or non-empty string')
    else if (!isTimeZone(zone.text)) zone.invalid(`unknown time zone ${zone.text}`)
  }
  spec.at('concurrencyPolicy').oneOf(['Allow', 'Forbid', 'Replace'])
  const jobSpec = spec.at('jobTemplate').at('spec')
  checkJob(jobSpec)
  spec.at('successfulJobsHistoryLimit').atLeast(0)
  spec.at('failedJobsHistoryLimit').atLeast(0)
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

const descriptors = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'])
const ranges = [
  { least: 0, most: 59, names: '' },
  { least: 0, most: 23, names: '' },
  { least: 1, most: 31, names: '' },
  { least: 1, most: 12, names: 'jan feb mar apr may jun jul aug sep oct nov dec' },
  { least: 0, most: 6, names: 'sun mon tue wed thu fri sat' },
]

/** What is wrong with a schedule. */
function scheduleFault(text: string): string | undefined {
  if (/^(CRON_)?TZ=/.test(text)) return 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
  if (text.startsWith('@')) {
    if (descriptors.has(text)) return undefined
    const every = /^@every (.*)$/.exec(text)?.[1]
    if (every === undefined) return `unrecognized descriptor: ${text}`
    return /^([0-9.]+(ns|us|µs|ms|s|m|h))+$/.test(every)
      ? undefined
      : `failed to parse duration ${text}: time: invalid duration "${every}"`
  }
  const fields = text.trim().split(/\s+/)
  if (fields.length !== 5) {
    return `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`
  }
  for (const [at, field] of fields.entries()) {
    const range = ranges[at]
    if (range === undefined) continue
    for (const part of field.split(',')) {
      const fault = rangeFault(part, range)
      if (fault !== undefined) return fault
    }
  }
  return undefined
}

function rangeFault(part: string, { least, most, names }: (typeof ranges)[number]): string | undefined {
  const [span = '', step, ...more] = part.split('/')
  if (more.length > 0) return `too many slashes: ${part}`
  const ends = span.split('-')
  if (ends.length > 2) return `too many hyphens: ${part}`
  const known = names.split(' ')
  const numberOf = (end: string) => {
    const named = known.indexOf(end.toLowerCase())
    return named >= 0 && names !== '' ? named + least : /^\d+$/.test(end) ? Number(end) : undefined
  }
  let from = least
  let to = most
  if (span !== '*' && span !== '?') {
    const [first = '', last] = ends
    const begin = numberOf(first)
    const end = last === undefined ? begin : numberOf(last)
    const wrong = begin === undefined ? first : last
    if (begin === undefined || end === undefined) {
      return `failed to parse int from ${wrong}: strconv.Atoi: parsing "${wrong}": invalid syntax`
    }
    from = begin
    to = step !== undefined && last === undefined ? most : end
  }
  if (step !== undefined && !/^\d+$/.test(step)) {
    return `failed to parse int from ${step}: strconv.Atoi: parsing "${step}": invalid syntax`
  }
  if (from < least) return `beginning of range (${from}) below minimum (${least}): ${part}`
  if (to > most) return `end of range (${to}) above maximum (${most}): ${part}`
  if (from > to) return `beginning of range (${from}) beyond end of range (${to}): ${part}`
  return step !== undefined && Number(step) === 0
    ? `step of range should be a positive number: ${part}`
    : undefined
}

/* ---- what they share ---- */

export function checkSelector(spec: Place, kind: string): void {
  const selector = spec.at('selector')
  const labels = spec.at('template').at('metadata').at('labels')
  if (!selector.isSet) selector.add(required(selector.path))
  else {
    const count = selector.causes.length
    checkLabelSelector(selector)
    const isInvalid = selector.causes.length > count
    const { matchLabels, matchExpressions } = selector.object
    const isEmpty = isNothing(matchLabels) && isNothing(matchExpressions)
    if (isEmpty) selector.invalid(`empty selector is invalid for ${kind}`, {})
    if (isInvalid) selector.invalid('invalid label selector')
    if (isInvalid || isEmpty) return
  }
  if (!selector.isSet || !matchesSelector(selector.object, labels.object)) {
    labels.invalid('`selector` does not match template `labels`', labels.value ?? null)
  }
}

function isNothing(value: JsonValue | undefined): boolean {
  return value === undefined || value === null || Object.keys(value).length === 0
}

export function checkLabelSelector(selector: Place): void {
  checkLabels(selector.at('matchLabels'))
  for (const expression of selector.at('matchExpressions').items) {
    const [key, operator, values] = [expression.at('key'), expression.at('operator'), expression.at('values')]
    const isEmpty = values.items.length === 0
    if (operator.text === 'In' || operator.text === 'NotIn') {
      if (isEmpty) values.add(required(values.path, "must be specified when `operator` is 'In' or 'NotIn'"))
    } else if (operator.text === 'Exists' || operator.text === 'DoesNotExist') {
      if (!isEmpty) values.forbid("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    } else operator.invalid('not a valid selector operator', operator.text)
    for (const fault of qualified(key.text)) key.invalid(fault, key.text)
  }
}

function matchesSelector(selector: JsonObject, labels: JsonObject): boolean {
  const { matchLabels, matchExpressions } = selector
  const equal = Object.entries((matchLabels ?? {}) as JsonObject).every(
    ([key, value]) => labels[key] === value,
  )
  const expressions = (Array.isArray(matchExpressions) ? matchExpressions : []) as JsonObject[]
  return (
    equal &&
    expressions.every(({ key, operator, values }) => {
      const value = labels[String(key)]
      const isIn = Array.isArray(values) && value !== undefined && values.includes(value)
      if (operator === 'In') return isIn
      if (operator === 'NotIn') return !isIn
      return (operator === 'Exists') === (value !== undefined)
    })
  )
}

function checkTemplate(spec: Place, policies: readonly string[]): void {
  const template = spec.at('template')
  checkPodTemplate(template)
  const policy = template.at('spec').at('restartPolicy')
  if (!policies.includes(policy.text)) policy.add(notSupported(policy.path, policy.text, policies))
  const deadline = template.at('spec').at('activeDeadlineSeconds')
  if (deadline.isSet) deadline.forbid('activeDeadlineSeconds in ReplicaSet is not Supported')
}

/* ---- updates ---- */

export function checkImmutable(place: Place, old: JsonValue | undefined): void {
  if (isSame(place.value ?? null, old ?? null)) return
  const shown = place.value ?? (typeof old === 'string' ? '' : null)
  place.add(invalidValue(place.path, shown, 'field is immutable'))
}

const changeable = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
])

export function checkStatefulSetUpdate(spec: Place, old: JsonObject): void {
  const fixed = (value: JsonObject) =>
    Object.fromEntries(Object.entries(value).filter(([field]) => !changeable.has(field)))
  if (isSame(fixed(spec.object), fixed(old))) return
  spec.forbid(
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
  )
}

export function checkJobUpdate(spec: Place, old: JsonObject): void {
  const indexed = spec.at('completionMode').text === 'Indexed'
  const isElastic = indexed && spec.at('completions').value === spec.at('parallelism').value
  if (!isElastic) checkImmutable(spec.at('completions'), old['completions'])
  checkImmutable(spec.at('selector'), old['selector'])
  if (old['suspend'] !== true) checkImmutable(spec.at('template'), old['template'])
  checkImmutable(spec.at('completionMode'), old['completionMode'])
}
