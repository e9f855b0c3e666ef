import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KubeApi, startKubeApi } from '../../../../src/playground/kube-api/api.ts'
import { kubectl, kubectlVersions } from '../../../support/neighbours.ts'
import { workload } from './cluster.ts'

let api: KubeApi

beforeAll(async () => {
  api = await startKubeApi({ controllers: true, neverReady: (image) => image.endsWith(':broken') })
})
afterAll(() => api.close())

describe.each(kubectlVersions)('kubectl %s', (version) => {
  const program = kubectl(version)
  const run = (...args: string[]) =>
    promisify(execFile)(program ?? '', args, { env: { KUBECONFIG: api.kubeconfig, HOME: '/nowhere' } }).then(
      ({ stdout }) => stdout,
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    )

  test.skipIf(program === undefined)('follows a rollout that cannot end, and takes it back', async () => {
    const name = `web-${version.replace('.', '')}`
    const plan = workload('Deployment', name, { replicas: 2, progressDeadlineSeconds: 1 })
    await api.request('POST', '/apis/apps/v1/namespaces/default/deployments', plan)
    expect(await run('rollout', 'status', `deploy/${name}`)).toContain('successfully rolled out')

    await run('set', 'image', `deploy/${name}`, 'web=web:broken')
    expect(await run('rollout', 'status', `deploy/${name}`)).toMatch(
      `error: deployment "${name}" exceeded its progress deadline`,
    )
    expect(await run('get', 'pods', '-l', `app=${name}`)).toContain('ImagePullBackOff')

    await run('rollout', 'undo', `deploy/${name}`)
    expect(await run('rollout', 'status', `deploy/${name}`)).toContain('successfully rolled out')
    const history = (await run('rollout', 'history', `deploy/${name}`)).match(/^\d+/gm)
    expect(history).toEqual(['2', '3'])
  })
})
