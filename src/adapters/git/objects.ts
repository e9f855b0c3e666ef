import { FluxError } from '../../core/errors.ts'
import type { Child } from '../system/spawn.ts'

/**
 * Reading objects: one long-lived `git cat-file --batch-command` answers all requests in order, and is started again
 * when it dies. It sees what a fetch brings and what we write, without being told.
 */

export interface ObjectInfo {
  hash: string
  type: string
  sizeBytes: number
}

export interface ObjectReader {
  /** What a name such as a hash or `refs/heads/main^{commit}` stands for. The name must not have a line end. */
  info(name: string): Promise<ObjectInfo | undefined>
  /** The bytes of an object, or `undefined` where there is none. Ask `info` first where it may be large. */
  read(name: string): Promise<Buffer | undefined>
  close(): Promise<void>
}

/** A request that took the program down with it is not tried a third time. */
const maxAttempts = 2

interface Request {
  command: 'info' | 'contents'
  name: string
  attempts: number
  resolve(answer: { info: ObjectInfo; content: Buffer | undefined } | undefined): void
  reject(error: Error): void
}

export function createObjectReader(start: () => Child): ObjectReader {
  let child: Child | undefined
  let closed = false
  let waiting: Request[] = []
  let flushing = false

  const launch = (): Child => {
    const started = start()
    const answers = readAnswers(() => waiting[0]?.command)
    started.stdout.on('data', (chunk: Buffer) => {
      for (const answer of answers(chunk)) waiting.shift()?.resolve(answer)
    })
    started.stderr.resume()
    void started.ended.then(({ error }) => {
      child = undefined
      const again = waiting
      waiting = []
      for (const request of again) {
        if (!closed && !error && request.attempts < maxAttempts) send(request)
        else request.reject(ended(error))
      }
    })
    return started
  }

  const send = (request: Request) => {
    child ??= launch()
    request.attempts++
    waiting.push(request)
    child.stdin.write(`${request.command} ${request.name}\n`)
    if (flushing) return
    flushing = true
    setImmediate(() => {
      flushing = false
      child?.stdin.write('flush\n')
    })
  }

  const ask = (command: Request['command'], name: string) =>
    new Promise<{ info: ObjectInfo; content: Buffer | undefined } | undefined>((resolve, reject) => {
      if (closed) reject(ended(undefined))
      else if (/[\n\0]/.test(name)) resolve(undefined)
      else send({ command, name, attempts: 0, resolve, reject })
    })

  return {
    info: async (name) => (await ask('info', name))?.info,
    read: async (name) => (await ask('contents', name))?.content,
    async close() {
      closed = true
      await child?.stop()
    },
  }
}

/**
 * Take the program's output apart: a line `<hash> <type> <size>`, for `contents` followed by the bytes and a newline;
 * or `<name> missing`, `<name> ambiguous`.
 */
function readAnswers(commandAsked: () => Request['command'] | undefined) {
  let chunks: Buffer[] = []
  let size = 0
  /** set while the bytes of an object are read */
  let object: ObjectInfo | undefined

  return function* (chunk: Buffer): Generator<{ info: ObjectInfo; content: Buffer | undefined } | undefined> {
    chunks.push(chunk)
    size += chunk.length
    if (object && size <= object.sizeBytes) return
    if (!object && !chunk.includes(0x0a)) return
    let rest = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    while (rest.length > 0) {
      if (object) {
        if (rest.length <= object.sizeBytes) break
        const answer = { info: object, content: Buffer.from(rest.subarray(0, object.sizeBytes)) }
        rest = rest.subarray(object.sizeBytes + 1)
        object = undefined
        yield answer
      } else {
        const end = rest.indexOf(0x0a)
        if (end < 0) break
        const line = rest.toString('utf8', 0, end)
        rest = rest.subarray(end + 1)
        const header = /^([0-9a-f]{40,64}) (blob|tree|commit|tag) ([0-9]+)$/.exec(line)
        const info = header && { hash: header[1] ?? '', type: header[2] ?? '', sizeBytes: Number(header[3]) }
        if (info && commandAsked() === 'contents') object = info
        else yield info ? { info, content: undefined } : undefined
      }
    }
    chunks = rest.length > 0 ? [rest] : []
    size = rest.length
  }
}

function ended(cause: Error | undefined): FluxError {
  return new FluxError('GIT_FAILED', {
    what: `git cat-file: ${cause?.message ?? 'ended before it answered'}`,
    cause,
  })
}
