import { type JsonValue, valueAt } from '../../core/json.ts'
import { firstFiles, imageRepository } from './repository.ts'
import type { TourWorld } from './world.ts'

/** What fluxd finds in the cluster before it starts: where to keep its key and, for port-forwards, a pod in its name. */
export function fluxdObjects({ cluster, registry }: TourWorld): { path: string; body: object }[] {
  const labels = { app: 'flux' }
  const image = `${registry.host}/example/fluxd:demo`
  const deployment = {
    metadata: { name: 'flux' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'flux', image, ports: [{ containerPort: 3030 }] }] },
      },
    },
  }
  return [
    { path: '/api/v1/namespaces', body: { metadata: { name: 'flux' } } },
    { path: '/api/v1/namespaces/flux/secrets', body: { metadata: { name: 'flux-git-deploy' } } },
    ...(cluster.forwards ? [{ path: '/apis/apps/v1/namespaces/flux/deployments', body: deployment }] : []),
  ]
}

/**
 * Bring the world to where fluxd has applied the first commit, without a word.
 *
 * @throws Error when something does not come to pass
 */
export async function bootstrap(world: TourWorld, signal: AbortSignal): Promise<void> {
  const { cluster, git, ssh, registry } = world
  await git.commit(firstFiles(`${registry.host}/${imageRepository}:3.1.0`), 'podinfo 3.1.0')
  for (const { path, body } of fluxdObjects(world)) {
    const { status, body: answer } = await cluster.request('POST', path, body)
    if (status !== 201) throw new Error(`POST ${path}: ${status} ${JSON.stringify(answer)}`)
  }
  await world.startFluxd()
  if (ssh) {
    const publicKey = await until(signal, async () => {
      const { body } = await cluster.request('GET', '/api/v1/namespaces/flux/secrets/flux-git-deploy')
      const encoded = valueAt(body as JsonValue, 'data', 'identity.pub')
      return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : undefined
    })
    ssh.add({ publicKey, mayWrite: true })
    world.notifyOfGit()
  }
  await until(signal, () => git.git('rev-parse', '--verify', '--quiet', 'refs/tags/flux-sync'))
}

/** Ask until there is an answer; an error is none yet. */
async function until<T>(signal: AbortSignal, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 30_000
  for (;;) {
    signal.throwIfAborted()
    const answer = await ask().catch((error: unknown) => {
      if (Date.now() > deadline) throw error
      return undefined
    })
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error('fluxd takes too long')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
