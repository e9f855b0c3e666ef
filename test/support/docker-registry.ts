import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../src/playground/kube/control-plane.ts'
import { closedEnvironment, createFolder, startProgram } from '../../src/playground/processes.ts'

/** Debian's `docker-registry`, the distribution project's own, on a loopback port with an empty store. */

const program = '/usr/bin/docker-registry'

/** Why tests with it are skipped here; `undefined` where they run. */
export const dockerRegistrySkipReason = existsSync(program)
  ? undefined
  : 'needs docker-registry: apt-get install docker-registry'

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** `GET /v2/…` of each request of a client so far, by what it calls itself */
  requestsOf(userAgent: string): string[]
}

export async function dockerRegistry(): Promise<DockerRegistry> {
  if (dockerRegistrySkipReason !== undefined) throw new Error(dockerRegistrySkipReason)
  const folder = await createFolder('docker-registry-')
  const [port = 0] = await freePorts(1)
  const host = `127.0.0.1:${port}`
  const config = join(folder.path, 'config.yml')
  // JSON is YAML
  await writeFile(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'info', formatter: 'json', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder.path, 'store') }, delete: { enabled: true } },
      http: { addr: host },
    }),
  )
  const daemon = startProgram({
    file: program,
    args: ['serve', config],
    env: { ...closedEnvironment(folder.path), OTEL_TRACES_EXPORTER: 'none' },
    log: join(folder.path, 'log'),
  })
  await daemon.until('it answers', async () => (await fetch(`http://${host}/v2/`)).ok)
  return {
    host,
    requestsOf: (userAgent) =>
      daemon
        .log()
        .split('\n')
        .filter((line) => line.includes('"response completed"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((entry) => entry['http.request.useragent'] === userAgent)
        .map((entry) => `${entry['http.request.method']} ${entry['http.request.uri']}`),
    async [Symbol.asyncDispose]() {
      await daemon.kill()
      await folder.remove()
    },
  }
}
