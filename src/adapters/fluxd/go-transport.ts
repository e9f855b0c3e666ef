import { messageOf } from '../../core/errors.ts'

/** Why a connection failed, in the words of Go's `net`, which v1's users and scripts know. */
export function goTransportError(cause: unknown, href: string): string {
  const { code, address, port, syscall } = (cause ?? {}) as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  const dial = (reason: string) => {
    const host = address?.includes(':') ? `[${address}]` : address
    return `dial tcp ${host}:${port}: ${reason}`
  }
  switch (code) {
    case 'ECONNREFUSED':
      return address ? dial('connect: connection refused') : 'connect: connection refused'
    case 'EHOSTUNREACH':
      return address ? dial('connect: no route to host') : 'connect: no route to host'
    case 'ENETUNREACH':
      return address ? dial('connect: network is unreachable') : 'connect: network is unreachable'
    case 'ETIMEDOUT':
      return syscall === 'connect' && address ? dial('i/o timeout') : 'i/o timeout'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${new URL(href).hostname}: no such host`
    case 'ECONNRESET':
      return 'EOF'
    case 'EPROTO':
      return `http: server gave HTTP response to HTTPS client`
    default:
      return messageOf(cause)
  }
}
