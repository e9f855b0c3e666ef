import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** The way to a server, which can be barred: every connection is cut, and new ones are refused. */
export interface Gate {
  bar(): void | Promise<void>
  unbar(): void | Promise<void>
}

export async function openGate(toPort: number): Promise<Gate & AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  let barred = false
  const server = createServer((socket) => {
    if (barred) return void socket.destroy()
    const onward = connect(toPort, '127.0.0.1')
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(end)
      end.on('error', () => {})
      end.on('close', () => {
        sockets.delete(end)
        other.destroy()
      })
      end.setNoDelay(true).pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bar = () => {
    barred = true
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    bar,
    unbar() {
      barred = false
    },
    async [Symbol.asyncDispose]() {
      bar()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
