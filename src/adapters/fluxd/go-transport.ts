import { messageOf } from '../../core/errors.ts'

/** Why a connection failed, in the words of Go's `net`, which v1's users and scripts know. */
export function goTransportError(thrown: unknown, href: string): string {
  // Node collects the failures of every address of a name
  const cause: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  const { code = '', address, port } = (cause ?? {}) as NodeJS.ErrnoException & Address
  const dialReason = dialReasons[code]
  if (dialReason !== undefined && address !== undefined) {
    const host = address.includes(':') ? `[${address}]` : address
    return `dial tcp ${host}:${port}: ${dialReason}`
  }
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${new URL(href).hostname}: no such host`
    case 'ECONNRESET':
      return 'EOF'
    default:
      return messageOf(cause)
  }
}

interface Address {
  address?: string
  port?: number
}

const dialReasons: Record<string, string> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
}
