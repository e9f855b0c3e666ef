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
  log(): string
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
      log: { level: 'warn', accesslog: { disabled: true } },
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
    log: daemon.log,
    async [Symbol.asyncDispose]() {
      await daemon.kill()
      await folder.remove()
    },
  }
}
