/** A time as an image carries it: builders write nanoseconds, a `Date` holds milliseconds. */
export interface Timestamp {
  date: Date
  /** RFC 3339 as Go prints it: up to nine digits of a second, without zeros at the end */
  text: string
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/
/** what Go writes for a time that was never set */
const unset = Date.parse('0001-01-01T00:00:00Z')

/** Read RFC 3339. `undefined` for any other text, and for Go's zero time, which means that there is none. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = rfc3339.exec(text)
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  const fraction = (match[7] ?? '').slice(0, 9)
  const [sign, offsetHours = '00', offsetMinutes = '00'] = match.slice(8)
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * (sign === '-' ? -1 : 1)
  if (hour > 23 || minute > 59 || second > 59 || Math.abs(offset) >= 24 * 60) return undefined

  const local = new Date(0)
  local.setUTCFullYear(year, month - 1, day)
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return undefined
  local.setUTCHours(hour, minute, second, Number(fraction.padEnd(3, '0').slice(0, 3)))

  const date = new Date(local.getTime() - offset * 60_000)
  if (date.getTime() === unset && Number(fraction) === 0) return undefined
  const digits = fraction.replace(/0+$/, '')
  const zone = offset === 0 ? 'Z' : `${sign}${offsetHours}:${offsetMinutes}`
  return { date, text: `${text.slice(0, 19)}${digits && `.${digits}`}${zone}` }
}

/** The digits below a millisecond in a timestamp's text, as nanoseconds. */
export function subMillisecondNs(text: string): number {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? ''
  return Number(fraction.padEnd(9, '0').slice(3, 9))
}
