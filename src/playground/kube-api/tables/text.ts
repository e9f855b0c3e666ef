import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { listAt, objectAt, textAt, textsAt } from '../fields.ts'

/** The ways in which Kubernetes prints things. */

/** How long ago a time was, in two units at most: `45s`, `3m20s`, `5h`, `2d4h`, `400d`. */
export function timeSince(time: JsonValue | undefined, now: number, missing = '<unknown>'): string {
  if (typeof time !== 'string' || time === '') return missing
  const then = Date.parse(time)
  return Number.isNaN(then) ? '<invalid>' : humanDuration(now - then)
}

/** @see https://pkg.go.dev/k8s.io/apimachinery/pkg/util/duration#HumanDuration */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  const years = Math.floor(days / 365)
  const pair = (large: number, largeUnit: string, small: number, smallUnit: string) =>
    small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's')
  if (hours < 3) return `${minutes}m`
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (days < 8) return pair(days, 'd', hours % 24, 'h')
  if (years < 2) return `${days}d`
  if (years < 8) return pair(years, 'y', days % 365, 'd')
  return `${years}y`
}

/** `a=b,c=d`, sorted */
export function formatLabels(labels: JsonObject): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((key) => `${key}=${labels[key]}`)
  return pairs.join(',') || '<none>'
}

/** `app=web,tier in (a,b),!old`, sorted by label */
export function formatSelector(selector: JsonObject): string {
  const labels = objectAt(selector, 'matchLabels')
  const requirements = Object.keys(labels).map((key) => ({ key, text: `${key}=${labels[key]}` }))
  for (const expression of listAt(selector, 'matchExpressions')) {
    const key = textAt(expression, 'key')
    const values = textsAt(expression, 'values').sort().join(',')
    const texts: Record<string, string> = {
      In: `${key} in (${values})`,
      NotIn: `${key} notin (${values})`,
      Exists: key,
      DoesNotExist: `!${key}`,
    }
    requirements.push({ key, text: texts[textAt(expression, 'operator')] ?? key })
  }
  requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return requirements.map(({ text }) => text).join(',') || '<none>'
}

/** The first few, and how many more there are. */
export function formatSome(texts: readonly string[], most: number, none: string): string {
  if (texts.length === 0) return none
  const shown = texts.slice(0, most).join(',')
  return texts.length > most ? `${shown} + ${texts.length - most} more...` : shown
}
