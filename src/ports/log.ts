/** One structured entry a call; the adapter decides between logfmt and JSON. Keys appear in the order given. */
export type LogValue = string | number | boolean | null | undefined | Date | Error | readonly string[]
export type LogFields = Record<string, LogValue>

export interface Log {
  /** Write one entry. Fields that are `undefined` are left out; lists are joined by commas. Values with secrets must not get here: URLs are shown by `safeUrl`. */
  write(fields: LogFields): void
  /** A log whose entries begin with these fields, such as `component=sync-loop`. */
  with(fields: LogFields): Log
}
