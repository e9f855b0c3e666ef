import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FluxError, messageOf } from '../../core/errors.ts'
import { formatImageRef, type ImageRef, parseImageRef } from '../../core/image/ref.ts'
import { isJsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import { defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { globalFlags } from '../flags.ts'
import { usageError } from '../usage.ts'

export const demo = defineCommand({
  about:
    'Starts a Kubernetes API, a Git server and an image registry on this machine, then tells the main job step by step: a first sync, a release, automation, a lock, a repair, an undo. Each step shows the real command and its output, and is checked. Touches nothing of yours, and leaves nothing behind. On a terminal it then stays up, and says how to go on by hand: `push IMAGE:TAG` puts an image into its registry.',
  examples: [
    'fluxctl demo',
    'fluxctl demo --serve --state=/tmp/try',
    'fluxctl demo push example/podinfo:3.1.8',
  ],
  flags: [
    { name: 'kubeconfig', type: 'string', value: 'FILE', summary: 'use this empty API server on loopback' },
    { name: 'no-color', type: 'bool', summary: 'no colours, even on a terminal; as with NO_COLOR' },
    { name: 'serve', type: 'bool', summary: 'no story: bring the world up, print ready, stay until SIGTERM' },
    {
      name: 'state',
      type: 'string',
      value: 'DIR',
      summary: 'new folder for its files, gone in the end; DIR/env sets the variables of a shell',
    },
  ],
  words: '[push IMAGE:TAG]',
  async run(ctx, { flags, given, words }) {
    const stray = globalFlags.find(({ name }) => given.has(name))
    if (stray) throw usageError(`--${stray.name} has no meaning here: the demo has a world of its own`)
    if (words.length > 0) {
      const [word, image, ...rest] = words
      if (word !== 'push' || image === undefined || rest.length > 0) {
        throw usageError('expected nothing, or: push IMAGE:TAG')
      }
      if (given.size > 0) throw usageError('push takes no flags')
      await pushToDemo(ctx, image)
      return 'done'
    }
    if (flags.serve && flags.state === '')
      throw usageError('--serve needs --state=DIR, where DIR/env will be')

    const { findPrograms } = await import('../../playground/tour/programs.ts')
    const options = {
      programs: findPrograms(process.argv[1] ?? ''),
      out: ctx.io.out,
      signal: ctx.signal,
      ...(flags.kubeconfig !== '' && { kubeconfig: flags.kubeconfig }),
    }
    if (flags.serve) {
      const { serveWorld } = await import('../../playground/tour/stay.ts')
      await serveWorld({ ...options, state: flags.state })
      return 'done'
    }
    const { runTour } = await import('../../playground/tour/tour.ts')
    const colour = !flags.noColor && process.stdout.isTTY && process.stdout.hasColors()
    const stay = process.stdout.isTTY && process.stdin.isTTY && !process.env['CI']
    await runTour({ ...options, colour, stay, ...(flags.state !== '' && { state: flags.state }) })
    return 'done'
  },
})

/** Push an image without layers to the registry of a demo that is up. @throws FluxError `DEMO_UNAVAILABLE` | `USAGE_INVALID` */
async function pushToDemo({ io, clock }: CliContext, text: string): Promise<void> {
  const { REGISTRY: host = '', DOCKER_CONFIG: folder = '' } = process.env
  if (host === '' || folder === '') {
    throw new FluxError('DEMO_UNAVAILABLE', {
      what: 'there is no demo to push to: REGISTRY and DOCKER_CONFIG are not set',
      why: 'A running demo writes them to a file for your shell.',
      next: 'Start `fluxctl demo` in another terminal, and read the file that it names: `. FILE`.',
    })
  }
  const { repository, tag, registry } = parseImageRef(text)
  if (tag === undefined) throw usageError(`${text} has no tag`)
  if (registry !== undefined && registry !== host)
    throw usageError(`${registry} is not the demo's registry, ${host}`)
  const image: ImageRef = { registry: host, repository, tag }
  const auth = await readLogin(join(folder, 'config.json'), host)
  const { pushImage } = await import('../../playground/registry/push.ts')
  try {
    const digest = await pushImage({ host, repository, tag, createdAt: clock.now(), ...(auth && { auth }) })
    io.out(`Pushed ${formatImageRef(image)} ${digest}\n`)
  } catch (cause) {
    throw new FluxError('DEMO_UNAVAILABLE', {
      what: `pushing ${formatImageRef(image)}: ${messageOf(cause)}`,
      next: 'If that demo has ended, start `fluxctl demo` again, and read the file that it names: `. FILE`.',
      cause,
    })
  }
}

/** The credentials in a Docker configuration. */
async function readLogin(
  file: string,
  host: string,
): Promise<{ user: string; password: string } | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const config: JsonValue = JSON.parse(text)
  const entry = isJsonObject(config) ? valueAt(config, 'auths', host, 'auth') : undefined
  if (typeof entry !== 'string') return undefined
  const [user = '', password = ''] = Buffer.from(entry, 'base64').toString().split(':')
  return { user, password }
}
