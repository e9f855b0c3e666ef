import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/**
 * The server's side of `v4.channel.k8s.io` for port-forwards: every message opens with the number of its channel. Each
 * port in turn has two, for data and for an error's text, and the first message of each repeats the port.
 *
 * No direction can be closed alone: the whole closes when all data streams have ended.
 *
 * @see https://kubernetes.io/docs/reference/using-api/websockets/
 */
export function openChannels(
  socket: WebSocket,
  ports: readonly number[],
): { port: number; data: Duplex; error: Duplex }[] {
  const streams = ports.flatMap((port, index) => [
    channel(socket, port, 2 * index),
    channel(socket, port, 2 * index + 1),
  ])
  let open = streams.length
  for (const stream of streams) {
    stream.once('close', () => {
      open--
      if (open === 0) socket.close(1000)
    })
  }
  socket.on('message', (message: Buffer) => {
    const stream = streams[message[0] ?? -1]
    if (stream && message.length > 1 && !stream.push(message.subarray(1))) socket.pause()
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    for (const stream of streams) stream.destroy()
  })
  return ports.flatMap((port, index) => {
    const [data, error] = [streams[2 * index], streams[2 * index + 1]]
    return data && error ? [{ port, data, error }] : []
  })
}

function channel(socket: WebSocket, port: number, number: number): Duplex {
  const say = (bytes: Uint8Array, done?: (error?: Error) => void) => {
    socket.send(Buffer.concat([Buffer.from([number]), bytes]), done)
  }
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => say(chunk, done),
    // nobody can close it from the other side
    final: (done) => {
      done()
      stream.destroy()
    },
  })
  stream.on('error', () => {})
  say(Buffer.from([port & 0xff, port >> 8]))
  return stream
}
