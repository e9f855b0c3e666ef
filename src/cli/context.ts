import type { Duplex } from 'node:stream'
import { FluxError } from '../core/errors.ts'
import { withoutUserInfo } from '../core/git/remote-url.ts'
import type { KubeAccess, PodSummary } from '../ports/agent-access.ts'
import type { Clock } from '../ports/clock.ts'
import type { Fluxd } from '../ports/fluxd.ts'
import type { Folder } from '../ports/folder.ts'
import { agentPort, findAgent } from './find-agent.ts'
import type { GlobalFlags } from './flags.ts'
import type { Io } from './io.ts'

/** What a command may touch. Nothing is loaded or connected before it is asked for. */
export interface CliContext {
  readonly version: string
  readonly io: Io
  readonly clock: Clock
  /** aborted when the person interrupts */
  readonly signal: AbortSignal
  readonly timeoutMs: number
  /** The fluxd that was chosen; connects on first use. @throws FluxError `KUBECONFIG_*` | `CLUSTER_*` | `FLUXD_*` */
  fluxd(): Promise<Fluxd>
  /** The pod in which that fluxd runs; none when it is reached by its URL. */
  agentPod(): Promise<PodSummary | undefined>
  /** Namespace of the kubeconfig context, or `default`. */
  defaultNamespace(): Promise<string>
  /** The caller as their Git configuration names them, such as `A User <a@example.com>`; may be empty. */
  gitUser(): Promise<string>
  /** A folder of this machine, or the one file that a path names. @throws FluxError `PATH_UNREADABLE` */
  openFolder(path: string): Promise<Folder>
}

/** How to make what a command asks for. `main.ts` hands in the real ones. */
export interface Neighbours {
  readonly version: string
  readonly clock: Clock
  /** @throws FluxError `KUBECONFIG_MISSING` | `KUBECONFIG_INVALID` */
  openKube(options: { context: string }): Promise<KubeAccess>
  connect(options: FluxdOptions): Promise<Fluxd>
  gitUser(): Promise<string>
  openFolder(path: string): Promise<Folder>
}

export interface FluxdOptions {
  /** with `/api/flux`, or wherever the API stands */
  url: string
  token?: string
  /** opens a stream to fluxd for each connection, in place of the host in `url` */
  open?: () => Promise<Duplex>
  signal: AbortSignal
}

export interface ContextOptions {
  io: Io
  signal: AbortSignal
  settings: GlobalFlags
  neighbours: Neighbours
}

/** @returns the context, and what closes its connections */
export function createContext({ io, signal, settings, neighbours }: ContextOptions): {
  ctx: CliContext
  close(): Promise<void>
} {
  const kube = once(() => neighbours.openKube({ context: settings.context }))

  const connection = once(async (): Promise<{ fluxd: Fluxd; pod?: PodSummary }> => {
    const { url, token } = settings
    if (url !== '') {
      const sendToken = token !== '' && isSafeForToken(url)
      if (token !== '' && !sendToken)
        io.say(
          `Warning: the token is not sent, since ${withoutUserInfo(url)} is neither HTTPS nor this machine`,
        )
      return { fluxd: await neighbours.connect({ url, ...(sendToken && { token }), signal }) }
    }
    if (token !== '') io.say('Warning: the token is not sent, since no --url is given')
    const access = await kube.get()
    const pod = await io.during(
      'Looking for fluxd',
      findAgent(access, {
        namespace: settings.k8sFwdNs,
        labels: settings.k8sFwdLabels,
        warn: io.say,
        clock: neighbours.clock,
        signal,
      }),
    )
    const { namespace, name } = pod
    const open = () => access.forward({ namespace, pod: name, port: agentPort }, signal)
    return {
      pod,
      fluxd: await neighbours.connect({ url: `http://127.0.0.1:${agentPort}/api/flux`, open, signal }),
    }
  })

  const ctx: CliContext = {
    version: neighbours.version,
    io,
    clock: neighbours.clock,
    signal,
    timeoutMs: settings.timeout,
    fluxd: async () => (await connection.get()).fluxd,
    agentPod: async () => (await connection.get()).pod,
    gitUser: neighbours.gitUser,
    openFolder: neighbours.openFolder,
    async defaultNamespace() {
      try {
        return (await kube.get()).origin.namespace
      } catch (error) {
        // as v1: who needs no cluster needs no kubeconfig
        if (error instanceof FluxError) return 'default'
        throw error
      }
    },
  }
  return {
    ctx,
    close: async () => {
      const access = await kube.current?.catch(() => undefined)
      await access?.close()
    },
  }
}

/** A token may be read by whoever sees plain HTTP, so it stays on this machine or under TLS. */
function isSafeForToken(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}

/** Made on first use, then kept. */
function once<T>(make: () => Promise<T>): { get(): Promise<T>; readonly current: Promise<T> | undefined } {
  let made: Promise<T> | undefined
  return {
    get() {
      made ??= make()
      return made
    },
    get current() {
      return made
    },
  }
}
