import type { Ora } from 'ora'
import { escapeText } from './output/text.ts'

/**
 * The three streams of a command. Results go to standard output as they are; talk goes to standard error and is escaped here.
 * Whoever writes remote text into a result escapes it where the result is laid out.
 */

export interface OutStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface InStream {
  readonly isTTY?: boolean
  setRawMode?(on: boolean): unknown
  on(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  off(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  resume(): unknown
  pause(): unknown
}

export interface Streams {
  stdin: InStream
  stdout: OutStream
  stderr: OutStream
}

export interface Io {
  /** Write a part of the result. */
  out(text: string): void
  /** Write a line of talk. */
  say(line: string): void
  /** Wait for work; on a terminal, a spinner says for what once it takes a while. */
  during<T>(what: string, work: Promise<T>): Promise<T>
  /** whether talk is read by a person, who can be given advice that scripts don't expect */
  readonly person: boolean
  /** the terminal to ask a person on, where both ends of it are one */
  readonly terminal: Terminal | undefined
}

export interface Terminal {
  /** characters a line; a large number where it isn't known */
  readonly columns: number
  /** Write as it is, escape sequences included. */
  draw(text: string): void
  /** Hand every key press to `onKey` until it returns something; keys arrive raw, Ctrl-C too. */
  keys<T>(onKey: (key: string) => T | undefined, signal: AbortSignal): Promise<T>
}

const spinnerAfterMs = 400

export function createIo({ stdin, stdout, stderr }: Streams): Io {
  const person = stderr.isTTY === true
  let spinner: Ora | undefined
  return {
    person,
    out: (text) => void stdout.write(text),
    say(line) {
      spinner?.clear()
      stderr.write(`${escapeText(line)}\n`)
    },
    async during(what, work) {
      // ora clears lines without end where it doesn't know how wide they are
      if (!person || !stderr.columns) return work
      let done = false
      const timer = setTimeout(async () => {
        const { default: ora } = await import('ora')
        if (done) return
        spinner = ora({ text: what, discardStdin: false }).start()
      }, spinnerAfterMs)
      try {
        return await work
      } finally {
        done = true
        clearTimeout(timer)
        spinner?.stop()
        spinner = undefined
      }
    },
    terminal:
      person && stdin.isTTY === true && stdin.setRawMode
        ? {
            get columns() {
              return stderr.columns || 9999
            },
            draw: (text) => void stderr.write(text),
            keys: (onKey, signal) => readKeys(stdin, onKey, signal),
          }
        : undefined,
  }
}

function readKeys<T>(
  stdin: InStream,
  onKey: (key: string) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      stdin.off('data', onData)
      signal.removeEventListener('abort', onAbort)
      stdin.setRawMode?.(false)
      stdin.pause()
    }
    const onAbort = () => {
      stop()
      reject(signal.reason)
    }
    const onData = (chunk: Uint8Array | string) => {
      const text = typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk)
      // one chunk may hold several presses; an arrow key is three characters
      for (const [key] of text.matchAll(/\x1b[[O][A-D]|./gsu)) {
        const result = onKey(key)
        if (result === undefined) continue
        stop()
        resolve(result)
        return
      }
    }
    if (signal.aborted) return reject(signal.reason)
    stdin.setRawMode?.(true)
    stdin.on('data', onData)
    signal.addEventListener('abort', onAbort, { once: true })
    stdin.resume()
  })
}
