import type { IncomingMessage, ServerResponse } from 'node:http'
import { send } from './problem.ts'

/** What to answer in place of the truth. */
export interface Fault {
  /** `GET /v2/…`: which requests it hits; all */
  on?: RegExp
  /** how many requests it hits; 1 */
  times?: number
  /** a reply, or: hold the answer back, send half of it, cut the connection, spoil its bytes */
  answer:
    | { status: number; headers?: Record<string, string>; body?: string }
    | 'stall'
    | 'truncate'
    | 'drop'
    | 'corrupt'
}

export interface Faults {
  /** Faults apply in the order in which they were added. */
  add(fault: Fault): void
  /** Give the wrong answer that is due, or let `answer` give the right one. */
  apply(request: IncomingMessage, reply: ServerResponse, answer: (reply: ServerResponse) => void): void
}

export function createFaults(): Faults {
  const faults: Required<Fault>[] = []
  return {
    add({ on = /^/, times = 1, answer }) {
      faults.push({ on, times, answer })
    },
    apply(request, reply, answer) {
      const hit = faults.findIndex(({ on }) => on.test(`${request.method} ${request.url}`))
      const fault = faults[hit]
      if (!fault) return answer(reply)
      fault.times -= 1
      if (fault.times === 0) faults.splice(hit, 1)
      if (fault.answer === 'truncate' || fault.answer === 'corrupt') {
        return answer(spoiled(reply, fault.answer))
      }
      request.resume()
      if (fault.answer === 'stall') return
      if (fault.answer === 'drop') return void request.socket.destroy()
      send(reply, fault.answer.status, fault.answer.headers, fault.answer.body)
    },
  }
}

/** The same reply, whose body breaks off half-way, or has its bytes changed and its length kept. */
function spoiled(reply: ServerResponse, how: 'truncate' | 'corrupt'): ServerResponse {
  const end = reply.end.bind(reply)
  reply.end = (body: unknown) => {
    const bytes = Buffer.from((body ?? '') as string | Uint8Array)
    if (how === 'corrupt')
      return end(Buffer.from(bytes.toString('latin1').replace(/[a-z](?=":)/, 'X'), 'latin1'))
    reply.write(bytes.subarray(0, bytes.length / 2), () => reply.destroy())
    return reply
  }
  return reply
}
