import type { Store } from '../store.ts'
import type { Resources } from './resources.ts'

/** What every request works on. */
export interface World {
  readonly store: Store
  readonly resources: Resources
  readonly now: () => Date
}

/** Who writes, and how. */
export interface Writer {
  /** the name in managed fields */
  readonly manager: string
  readonly dryRun?: boolean
  /** what to do about fields that the resource does not have; `Warn` where nothing is said */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore'
  /** paths of fields that the client's text had more than once */
  readonly duplicates?: readonly string[]
  /** is told what goes into `Warning` headers */
  readonly warn?: (text: string) => void
}

/** A point in time as objects carry it: whole seconds. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}
