import { expect, test } from 'vitest'
import { openKubeAccess } from '../../../src/adapters/kube/access.ts'
import { json, startFakeApi } from './fake-api.ts'

const target = { namespace: 'flux', pod: 'flux-1', port: 3030 }

test('pods are listed by labels and fields, in all namespaces where none is named', async () => {
  await using api = await startFakeApi('https', (_request, reply) => json(reply, 200, { items: [] }))
  const kube = await openKubeAccess({ kubeconfig: api.kubeconfig })

  await kube.listPods({ labelSelector: 'name in (flux,fluxd)', fieldSelector: 'status.phase=Running' })
  await kube.close()

  expect(api.requests).toEqual([
    'GET /api/v1/pods?labelSelector=name+in+%28flux%2Cfluxd%29&fieldSelector=status.phase%3DRunning',
  ])
})

test('a port-forward that is not allowed names the right that is missing', async () => {
  const message =
    'pods "flux-1" is forbidden: User "jane" cannot create resource "pods/portforward" in API group "" in the namespace "flux"'
  await using api = await startFakeApi('https', (_request, reply) => json(reply, 403, { message }))
  const kube = await openKubeAccess({ kubeconfig: api.kubeconfig })

  const error = await kube.forward(target).catch((error: unknown) => error)
  await kube.close()

  expect(error).toMatchObject({
    code: 'CLUSTER_FORBIDDEN',
    why: 'jane may not create pods/portforward in namespace flux.',
  })
  expect(api.requests).toEqual(['GET /api/v1/namespaces/flux/pods/flux-1/portforward?ports=3030'])
})

test('a port-forward that cannot be opened names the pod, the port and the reason', async () => {
  await using api = await startFakeApi('https', (_request, reply) => {
    json(reply, 500, { message: 'dialing backend: connection refused' })
  })
  const kube = await openKubeAccess({ kubeconfig: api.kubeconfig })

  const error = await kube.forward(target).catch((error: unknown) => error)
  await kube.close()

  expect(error).toMatchObject({
    code: 'PORT_FORWARD_FAILED',
    message:
      'Could not create port forward: port 3030 of pod flux/flux-1: dialing backend: connection refused',
  })
})

test('a port-forward is given up when asked to', async () => {
  const stop = new AbortController()
  await using api = await startFakeApi('https', () => stop.abort(new Error('enough')))
  const kube = await openKubeAccess({ kubeconfig: api.kubeconfig })

  await expect(kube.forward(target, stop.signal)).rejects.toThrow('enough')
  await kube.close()
})
