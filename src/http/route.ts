import { formatWire } from '../api/json.ts'
import type { Endpoint } from '../api/paths.ts'

/** What a route may look at. */
export interface RouteRequest {
  readonly query: URLSearchParams
  /** the body as text; empty when there is none. Nothing is said of its type: Go's client sends no `Content-Type` */
  readonly body: string
  /** a request header by its lower-case name */
  header(name: string): string | undefined
  /** aborted when the client hangs up before it has its answer */
  readonly signal: AbortSignal
}

export interface Reply {
  status: number
  /** absent where there is no body */
  body?: { type: string; text: string }
}

/**
 * One thing the API does, as a value: where it listens and what it answers. It throws `FluxError` for every failure
 * that it foresees.
 */
export interface Route extends Endpoint {
  handle(request: RouteRequest): Reply | Promise<Reply>
}

/** What goes over the wire as JSON: a value of `api/types.ts`. */
export type WireValue = Parameters<typeof formatWire>[0]

/** 200 with a value as JSON. */
export function ok(value: WireValue): Reply {
  return { status: 200, body: jsonBody(value) }
}

/** 202: taken note of. */
export function accepted(): Reply {
  return { status: 202 }
}

/** 204: done, and nothing to say. */
export function noContent(): Reply {
  return { status: 204 }
}

export function jsonBody(value: WireValue): { type: string; text: string } {
  return { type: 'application/json; charset=utf-8', text: formatWire(value) }
}

export function textBody(text: string): { type: string; text: string } {
  return { type: 'text/plain; charset=utf-8', text }
}
