import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect } from 'vitest'
import { test } from '../../support/cluster-test.ts'
import { freePorts, request } from '../../support/control-plane.ts'
import { kubectl, kubectlVersions } from '../../support/neighbours.ts'
import { eventually } from '../../support/programs.ts'
import { deployment } from './objects.ts'

/** kubectl's own port-forward to port 3030 of a pod in the namespace `contract`, which leads to a server of the test. */
describe.each(
  kubectlVersions.flatMap((version) => [
    { version, how: 'SPDY in a WebSocket', env: { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'true' } },
    { version, how: 'SPDY/3.1 by POST', env: { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' } },
  ]),
)('kubectl $version port-forward, $how', ({ version, env }) => {
  test('carries bytes both ways, of several connections', async ({ plane, skip }) => {
    const program = kubectl(version)
    if (program === undefined) return skip(`kubectl ${version} is not there: npm run neighbours`)
    const name = 'forward'
    await request(plane, 'POST', '/api/v1/namespaces', { metadata: { name: 'contract' } })
    await request(plane, 'POST', '/apis/apps/v1/namespaces/contract/deployments', deployment(name))
    await eventually(async () => {
      const { body } = await request(plane, 'GET', `/apis/apps/v1/namespaces/contract/deployments/${name}`)
      return (body as { status: { readyReplicas?: number } }).status.readyReplicas === 1
    })
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}))
      socket.pipe(socket)
    })
    await once(server.listen(plane.forwards.contract, '127.0.0.1'), 'listening')
    const [port = 0] = await freePorts(1)
    const child = spawn(program, ['--namespace=contract', 'port-forward', `deploy/${name}`, `${port}:3030`], {
      env: { HOME: '/nonexistent', KUBECONFIG: plane.kubeconfig, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    try {
      let said = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text) => (said += text))
      await eventually(() => said.includes(`Forwarding from 127.0.0.1:${port} -> 3030`), 'the forward')

      const sent = [1, 2, 3].map((size) => Buffer.alloc(size * 300_000, '0123456789abcdef'))
      const received = await Promise.all(sent.map((bytes) => echo(port, bytes)))

      expect(received.map((bytes, index) => bytes.equals(sent[index] ?? bytes))).toEqual([true, true, true])
      server.close()
      for (const socket of sockets) socket.destroy()
      await eventually(async () => {
        await echo(port, Buffer.from('x')).catch(() => undefined)
        return /an error occurred forwarding \d+ -> 3030: error forwarding port 3030 to pod .*refused/.test(
          said,
        )
      }, 'the refusal')
    } finally {
      child.kill('SIGKILL')
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  })
})

/** Send and read as much again. */
async function echo(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1')
  const received: Buffer[] = []
  let length = 0
  socket.write(bytes)
  for await (const chunk of socket) {
    received.push(chunk)
    length += chunk.length
    if (length >= bytes.length) break
  }
  socket.destroy()
  return Buffer.concat(received)
}
