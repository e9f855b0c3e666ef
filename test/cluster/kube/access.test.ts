import { createServer, type Socket } from 'node:net'
import { describe, expect } from 'vitest'
import { openKubeAccess } from '../../../src/adapters/kube/access.ts'
import type { KubeAccess } from '../../../src/ports/agent-access.ts'
import { test } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import type { SharedControlPlane } from '../../support/control-plane-for-run.ts'
import { deployment } from './fixtures.ts'

/** The Deployment `echo` in the namespace `echo`, whose pods' port 3030 leads to the shared plane's `forwards.echo`. */
async function echoPod(plane: SharedControlPlane, kube: KubeAccess) {
  await request(plane, 'POST', '/api/v1/namespaces', { metadata: { name: 'echo' } })
  await request(plane, 'POST', '/apis/apps/v1/namespaces/echo/deployments', deployment('echo'))
  const find = async () => (await kube.listPods({ namespace: 'echo', labelSelector: 'app=echo' }))[0]
  await expect.poll(find, { timeout: 30_000 }).toMatchObject({ ready: true })
  const pod = await find()
  if (pod === undefined) throw new Error('the pod is gone')
  return pod
}

/** A TCP server for as long as it is in use; what is still connected then is cut, since kwok does not hang up. */
async function listen(port: number, onConnection: (socket: Socket) => void): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket)
  })
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}

async function open(plane: SharedControlPlane): Promise<KubeAccess & AsyncDisposable> {
  const kube = await openKubeAccess({ kubeconfig: plane.kubeconfig })
  return { ...kube, [Symbol.asyncDispose]: kube.close }
}

test('a pod is told with what makes it trustworthy', async ({ plane }) => {
  await using kube = await open(plane)

  const pod = await echoPod(plane, kube)

  expect(pod).toMatchObject({
    namespace: 'echo',
    name: expect.stringMatching(/^echo-/),
    labels: { app: 'echo' },
    phase: 'Running',
    ready: true,
    node: 'node-0',
    image: 'web:1',
    terminating: false,
    owner: { kind: 'ReplicaSet', name: expect.stringMatching(/^echo-/) },
  })
  expect(await kube.ownedByDeployment(pod)).toBe(true)
  expect(await kube.ownedByDeployment({ ...pod, owner: undefined })).toBe(false)
})

test('a field selector narrows the list', async ({ plane }) => {
  await using kube = await open(plane)
  await echoPod(plane, kube)

  const query = { namespace: 'echo', labelSelector: 'app=echo', fieldSelector: 'status.phase=Failed' }

  expect(await kube.listPods(query)).toEqual([])
})

describe('a port-forward', () => {
  test('carries bytes both ways, many at a time', async ({ plane }) => {
    await using _server = await listen(plane.forwards.echo, (socket) => socket.pipe(socket))
    await using kube = await open(plane)
    const { name } = await echoPod(plane, kube)
    const sent = Buffer.alloc(3_000_000, '0123456789abcdef')

    const stream = await kube.forward({ namespace: 'echo', pod: name, port: 3030 })
    stream.write(sent)
    const received: Buffer[] = []
    for await (const chunk of stream) {
      received.push(chunk)
      if (received.reduce((sum, { length }) => sum + length, 0) >= sent.length) break
    }

    expect(Buffer.concat(received).equals(sent)).toBe(true)
  })

  test('to a port where nobody listens says why', async ({ plane }) => {
    await using kube = await open(plane)
    const { name } = await echoPod(plane, kube)

    const stream = await kube.forward({ namespace: 'echo', pod: name, port: 3030 })
    const error = await new Promise((resolve) => stream.on('error', resolve).on('end', resolve).resume())

    expect(error).toMatchObject({
      code: 'PORT_FORWARD_FAILED',
      message: expect.stringMatching(/port 3030 of pod echo\/echo-.*: .*refused/),
    })
  })

  test('ends with the signal it was opened with', async ({ plane }) => {
    await using _server = await listen(plane.forwards.echo, () => {})
    await using kube = await open(plane)
    const { name } = await echoPod(plane, kube)
    const stop = new AbortController()
    const stream = await kube.forward({ namespace: 'echo', pod: name, port: 3030 }, stop.signal)
    const failed = new Promise((resolve) => stream.on('error', resolve))

    stop.abort(new Error('enough'))

    expect(await failed).toMatchObject({ message: 'enough' })
  })

  test('to a pod that is not there says so', async ({ plane }) => {
    await using kube = await open(plane)

    const error = await kube
      .forward({ namespace: 'echo', pod: 'nobody', port: 3030 })
      .catch((error: unknown) => error)

    expect(error).toMatchObject({
      code: 'PORT_FORWARD_FAILED',
      message: expect.stringContaining('pods "nobody" not found'),
    })
  })
})
