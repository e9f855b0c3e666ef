import { Duplex } from 'node:stream'
import { createHeaderReader, createHeaderWriter } from './spdy-headers.ts'

/**
 * The server's side of one SPDY/3.1 connection, as far as `kubectl` and client-go use it: streams that the client
 * opens, data, half close, reset, ping and goodbye.
 *
 * Windows: credit is given back for whatever arrives, for clients that keep to a window. Ours is not kept to: the one
 * client in the field (moby/spdystream) never gives any, and would wait forever after 64 KiB. What is slow is held up
 * by TCP instead, all streams of the connection together.
 *
 * @see https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
 */

const spdyVersion = 3
const controlBit = 0x80000000
const finFlag = 1
const frame = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7, headers: 8, windowUpdate: 9 }
const reset = { protocolError: 1, refusedStream: 3, cancel: 5 }
const longestFrame = 1 << 20
const longestData = 32 << 10

/**
 * Serve streams until the connection ends.
 *
 * @param accept takes a stream by its headers (names in lower case); `false` resets it
 */
export function serveSpdy(
  connection: Duplex,
  accept: (headers: ReadonlyMap<string, string>, stream: Duplex) => boolean,
): void {
  const readHeaders = createHeaderReader()
  const writeHeaders = createHeaderWriter()
  const streams = new Map<number, SpdyStream>()
  let lastStream = 0
  let goneAway = false
  let room: (() => void) | undefined

  const send = (head: number, flags: number, payload: Buffer, done?: (error?: Error | null) => void) => {
    if (connection.destroyed) return done?.()
    const opening = Buffer.alloc(8)
    opening.writeUInt32BE(head >>> 0)
    opening.writeUInt32BE(payload.length, 4)
    opening[4] = flags
    connection.cork()
    connection.write(opening)
    connection.write(payload, done)
    connection.uncork()
  }
  const control = (type: number, ...numbers: number[]) =>
    send((controlBit | (spdyVersion << 16) | type) >>> 0, 0, words(...numbers))
  const endIfDone = () => {
    if (goneAway && streams.size === 0) connection.end()
  }
  const wire: Wire = {
    data: (id, fin, bytes, done) => send(id, fin ? finFlag : 0, bytes, done),
    reset: (id) => control(frame.rstStream, id, reset.cancel),
    closed: (id) => {
      streams.delete(id)
      room?.()
      endIfDone()
    },
    ready: () => room?.(),
  }

  const open = (id: number, flags: number, headers: ReadonlyMap<string, string>) => {
    if (goneAway) return
    if (id % 2 === 0 || id <= lastStream) {
      control(frame.rstStream, id, reset.protocolError)
      return
    }
    lastStream = id
    const stream = new SpdyStream(id, wire)
    streams.set(id, stream)
    if (!accept(headers, stream)) {
      streams.delete(id)
      control(frame.rstStream, id, reset.refusedStream)
      return
    }
    send(
      (controlBit | (spdyVersion << 16) | frame.synReply) >>> 0,
      0,
      Buffer.concat([words(id), writeHeaders([])]),
    )
    if (flags & finFlag) stream.push(null)
  }

  const takeControl = async (type: number, flags: number, payload: Buffer) => {
    const number = payload.length >= 4 ? payload.readUInt32BE() : 0
    const id = number & ~controlBit
    if (type === frame.synStream) open(id, flags, await readHeaders(payload.subarray(10)))
    else if (type === frame.headers || type === frame.synReply) await readHeaders(payload.subarray(4))
    else if (type === frame.rstStream) streams.get(id)?.destroyByClient()
    else if (type === frame.ping && number % 2 === 1) control(frame.ping, number)
    else if (type === frame.goAway) {
      goneAway = true
      endIfDone()
    }
  }

  const takeData = async (id: number, flags: number, bytes: Buffer) => {
    const stream = streams.get(id)
    if (stream === undefined) return
    if (bytes.length > 0) {
      control(frame.windowUpdate, id, bytes.length)
      if (!stream.push(bytes)) {
        stream.isFull = true
        while (stream.isFull && !stream.destroyed && !connection.destroyed) {
          await new Promise<void>((resolve) => {
            room = resolve
          })
        }
        room = undefined
      }
    }
    if (flags & finFlag) stream.push(null)
  }

  const serve = async () => {
    let pending: Buffer = Buffer.alloc(0)
    const chunks: AsyncIterable<Buffer> = connection.iterator({ destroyOnReturn: false })
    for await (const chunk of chunks) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      while (pending.length >= 8) {
        const head = pending.readUInt32BE()
        const flags = pending[4] ?? 0
        const length = pending.readUInt32BE(4) & 0xffffff
        if (length > longestFrame) throw new Error('a frame is too long')
        if (pending.length < 8 + length) break
        const payload = pending.subarray(8, 8 + length)
        pending = pending.subarray(8 + length)
        if (head < controlBit) await takeData(head, flags, payload)
        else if (((head >>> 16) & 0x7fff) === spdyVersion) await takeControl(head & 0xffff, flags, payload)
        else throw new Error('not SPDY/3')
      }
    }
  }
  connection.on('error', () => connection.destroy())
  connection.once('close', () => {
    room?.()
    for (const stream of [...streams.values()]) stream.destroyByClient()
  })
  serve()
    .catch(() => control(frame.goAway, lastStream, reset.protocolError))
    .finally(() => connection.end(() => connection.destroy()))
}

interface Wire {
  data(id: number, fin: boolean, bytes: Buffer, done: (error?: Error | null) => void): void
  reset(id: number): void
  closed(id: number): void
  ready(): void
}

class SpdyStream extends Duplex {
  isFull = false
  readonly #id: number
  readonly #wire: Wire
  #gone = false

  constructor(id: number, wire: Wire) {
    super({ allowHalfOpen: true })
    this.#id = id
    this.#wire = wire
    this.on('error', () => {}) // who pipes it listens itself
  }

  /** The other side reset it, or is gone: nothing more is said about it. */
  destroyByClient(): void {
    this.#gone = true
    this.destroy()
  }

  override _read(): void {
    this.isFull = false
    this.#wire.ready()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    for (let start = 0; start < chunk.length; start += longestData) {
      const end = Math.min(start + longestData, chunk.length)
      this.#wire.data(this.#id, false, chunk.subarray(start, end), end === chunk.length ? done : () => {})
    }
    if (chunk.length === 0) done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#wire.data(this.#id, true, Buffer.alloc(0), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#gone && !(this.writableFinished && this.readableEnded)) this.#wire.reset(this.#id)
    this.#wire.closed(this.#id)
    done(error)
  }
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => void bytes.writeUInt32BE(value >>> 0, 4 * index))
  return bytes
}
