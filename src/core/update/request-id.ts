import { cleanMessage } from '../git/text.ts'

/**
 * Names that clients give their requests, so that asking again is safe: the same request twice makes one commit.
 *
 * The commit carries the name as a trailer in a block of its own, at the end. A person's text can't bring one along: such a
 * line of theirs is indented, which Git reads as no trailer. Follows `spec/decisions.md`, "request id".
 */

export const requestIdGrammar = '8 to 128 letters, digits, dots, underscores and hyphens'

export function isRequestId(text: string): boolean {
  return /^[A-Za-z0-9._-]{8,128}$/.test(text)
}

/** The line by which a commit is found again. */
export function requestIdTrailer(id: string): string {
  return `Flux-Request-Id: ${id}`
}

/** A commit message with its request's name, where there is one, and with no other. */
export function signMessage(message: string, id: string | undefined): string {
  const own = cleanMessage(message).replace(/^(?=flux-request-id\s*:)/gim, ' ')
  return id === undefined ? own : `${own.trimEnd()}\n\n${requestIdTrailer(id)}\n`
}

/** The requests that the last block of a message names. */
export function requestIdsOf(message: string): string[] {
  const block = message.trimEnd().split('\n\n').at(-1) ?? ''
  const trailer = requestIdTrailer('')
  return block
    .split('\n')
    .filter((line) => line.startsWith(trailer))
    .map((line) => line.slice(trailer.length))
}
