import { usageError } from './usage.ts'

/** What the listing commands have in common. */

export const listFlags = [
  { name: 'no-headers', type: 'bool', summary: 'leave out the heading of the table' },
  {
    name: 'output-format',
    short: 'o',
    type: 'string',
    default: 'tab',
    value: 'FORMAT',
    summary: 'tab, or json as the API has it',
  },
] as const

/** @throws FluxError `USAGE_INVALID` */
export function checkFormat(format: string): void {
  if (format !== 'tab' && format !== 'json') throw usageError('invalid output format specified')
}
