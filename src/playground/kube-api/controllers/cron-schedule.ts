/**
 * Cron schedules as CronJobs have them: five fields, `*`, ranges, steps, lists, names of months and days, and
 * `@hourly` and its like, in a time zone. `@every` has no place on the clock and is not taken by the API either.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
 */

export interface Schedule {
  /** The first minute after a time that the schedule names; `undefined` where there is none in five years. */
  next(afterMs: number): number | undefined
}

const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}
const months = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const minuteMs = 60_000
const longestSearchMs = 5 * 366 * 24 * 60 * minuteMs

/** `undefined` for what is no schedule. */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule | undefined {
  const fields = (macros[text.trim()] ?? text).trim().split(/\s+/)
  if (fields.length !== 5) return undefined
  const [minutes, hours, daysOfMonth, monthsOfYear, daysOfWeek] = [
    readField(fields[0], 0, 59),
    readField(fields[1], 0, 23),
    readField(fields[2], 1, 31),
    readField(fields[3], 1, 12, months),
    readField(fields[4], 0, 7, days),
  ]
  if (!minutes || !hours || !daysOfMonth || !monthsOfYear || !daysOfWeek) return undefined
  if (daysOfWeek.has(7)) daysOfWeek.add(0)
  const isStar = (field: string | undefined) => field?.startsWith('*') || field === '?'
  const anyDay = isStar(fields[2]) || isStar(fields[4])
  const clock = clockOf(timeZone)
  if (clock === undefined) return undefined
  return {
    next(afterMs) {
      let time = Math.floor(afterMs / minuteMs) * minuteMs + minuteMs
      const end = time + longestSearchMs
      while (time < end) {
        const { minute, hour, day, month, weekday } = clock(time)
        const [fits, also] = [daysOfMonth.has(day), daysOfWeek.has(weekday)]
        // a restriction of both days is met by either
        const isDay = monthsOfYear.has(month) && (anyDay ? fits && also : fits || also)
        if (!isDay || !hours.has(hour)) time += (60 - minute) * minuteMs
        else if (!minutes.has(minute)) time += minuteMs
        else return time
      }
      return undefined
    },
  }
}

function readField(
  text: string | undefined,
  low: number,
  high: number,
  names: readonly string[] = [],
): Set<number> | undefined {
  const values = new Set<number>()
  for (const part of (text ?? '').split(',')) {
    const [range = '', stepText] = part.split('/')
    const step = stepText === undefined ? 1 : Number(stepText)
    if (!Number.isInteger(step) || step < 1) return undefined
    const number = (word: string) => {
      const named = names.indexOf(word.toLowerCase())
      return word !== '' && named >= 0 ? named : /^\d+$/.test(word) ? Number(word) : Number.NaN
    }
    const [from = '', to] = range.split('-')
    const isAll = range === '*' || range === '?'
    const first = isAll ? low : number(from)
    const last = isAll || (to === undefined && stepText !== undefined) ? high : number(to ?? from)
    if (!(first >= low && last <= high && first <= last)) return undefined
    for (let value = first; value <= last; value += step) values.add(value)
  }
  return values
}

/** Hands of the clock in a time zone; `undefined` for a zone that is not known. */
function clockOf(timeZone: string) {
  if (timeZone === 'UTC' || timeZone === 'Etc/UTC') {
    return (time: number) => {
      const date = new Date(time)
      return {
        minute: date.getUTCMinutes(),
        hour: date.getUTCHours(),
        day: date.getUTCDate(),
        month: date.getUTCMonth() + 1,
        weekday: date.getUTCDay(),
      }
    }
  }
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      minute: 'numeric',
      hour: 'numeric',
      day: 'numeric',
      month: 'numeric',
      weekday: 'short',
    })
    return (time: number) => {
      const parts = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, value]))
      return {
        minute: Number(parts['minute']),
        hour: Number(parts['hour']),
        day: Number(parts['day']),
        month: Number(parts['month']),
        weekday: days.indexOf(String(parts['weekday']).toLowerCase()),
      }
    }
  } catch {
    return undefined
  }
}
