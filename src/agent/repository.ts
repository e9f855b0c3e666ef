import { FluxError, messageOf } from '../core/errors.ts'
import { safeUrl } from '../core/git/remote-url.ts'
import type { Clock } from '../ports/clock.ts'
import type { GitMirror, Revision } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import { rest } from '../runtime/rest.ts'
import { failureFields } from './tell.ts'

/**
 * The configured Git repository as the agent sees it: cloned, checked for its branch and for write access, and
 * fetched again on a poll or when somebody asks.
 *
 * Follows `spec/flux-v1/sync.md` §1. A step that makes progress is followed by the next at once; a failing one is
 * tried again after ten seconds.
 */
export type RepositoryState = 'unconfigured' | 'new' | 'unreachable' | 'cloned' | 'ready'

export interface RepositoryOptions {
  /** absent: fluxd runs without Git */
  mirror: GitMirror | undefined
  branch: string
  /** never push, so write access is not checked */
  readonly: boolean
  pollIntervalMs: number
  clock: Clock
  log: Log
  /** told when the repository becomes ready, or stops being so */
  onReady(ready: boolean): void
  /** told after each fetch or push of ours which revision the branch has */
  onRefreshed(head: Revision): void
}

export interface Repository {
  readonly branch: string
  readonly safeUrl: string
  readonly readonly: boolean
  status(): { state: RepositoryState; error: FluxError | undefined }
  /** The mirror, once it is ready. @throws FluxError `GIT_NOT_CONFIGURED` | `GIT_NOT_READY` with v1's texts */
  ready(): GitMirror
  /** Head of the branch at the last fetch or push. */
  head(): Revision | undefined
  /** Ask for a fetch soon. Requests that wait together become one. */
  askRefresh(): void
  /** Fetch now and return the branch's head. @throws FluxError of `ready`, of `GitMirror.fetch`, or `GIT_BRANCH_MISSING` */
  refresh(signal?: AbortSignal): Promise<Revision>
  /** A push of ours moved the branch, and the mirror knows. */
  pushed(head: Revision): void
  /** Clone, check, then poll, until aborted. */
  run(signal: AbortSignal): Promise<void>
}

const retryMs = 10_000

export function createRepository(options: RepositoryOptions): Repository {
  const { mirror, branch, clock, log } = options
  let state: RepositoryState = mirror ? 'new' : 'unconfigured'
  let error: FluxError | undefined = new FluxError('GIT_NOT_READY', {
    what: 'git repo has not been cloned yet',
  })
  let head: Revision | undefined
  let asked = false
  let wake = () => {}
  let fetching: Promise<unknown> = Promise.resolve()

  const enter = (next: RepositoryState, why?: FluxError) => {
    if ((state === 'ready') !== (next === 'ready')) options.onReady(next === 'ready')
    state = next
    error = why
  }

  /** Go on without the repository. A reason is told once, however often it is met again. */
  const fail = (next: RepositoryState, why: FluxError) => {
    if (why.message !== error?.message) log.write({ component: 'git', state: next, ...failureFields(why) })
    enter(next, why)
  }

  /** One fetch at a time: a request that comes during a fetch gets one of its own, which sees what came meanwhile. */
  const fetch = (upstream: GitMirror, signal?: AbortSignal): Promise<void> => {
    const mine = fetching.then(() => upstream.fetch(signal))
    fetching = mine.catch(() => {})
    return mine
  }

  const readHead = async (upstream: GitMirror): Promise<Revision> => {
    const found = await upstream.branchHead(branch)
    if (found) return found
    const { default: main, names } = await upstream.branches()
    throw new FluxError('GIT_BRANCH_MISSING', {
      what: `configured branch '${branch}' does not exist`,
      ...(names.length === 0
        ? { why: 'The repository is empty.', next: `Push a first commit to '${branch}'.` }
        : {
            why: `The repository has ${names.slice(0, 5).join(', ')}${main ? `; its default branch is '${main}'` : ''}.`,
            next: `Create the branch, or start fluxd with --git-branch=${main ?? names[0]}.`,
          }),
    })
  }

  const refreshed = (revision: Revision) => {
    head = revision
    log.write({ component: 'sync-loop', event: 'refreshed', url: mirror?.safeUrl, branch, HEAD: revision })
    options.onRefreshed(revision)
  }

  const fetchHead = async (upstream: GitMirror, signal?: AbortSignal): Promise<Revision> => {
    await fetch(upstream, signal)
    const revision = await readHead(upstream)
    refreshed(revision)
    return revision
  }

  /** Make one step towards `ready`. @returns whether it made progress */
  const step = async (upstream: GitMirror, signal: AbortSignal): Promise<boolean> => {
    const from = state
    try {
      await fetch(upstream, signal)
      if (from !== 'cloned') {
        const what = 'git repo has been cloned but not yet checked for write access'
        enter('cloned', new FluxError('GIT_NOT_READY', { what }))
        return true
      }
      const revision = await readHead(upstream)
      if (!options.readonly) await upstream.checkWritable(branch, signal)
      enter('ready')
      refreshed(revision)
      return true
    } catch (thrown) {
      if (signal.aborted) throw thrown
      const why = asGitError(thrown)
      if (from === 'cloned') fail('cloned', why)
      else fail(/could not resolve host/i.test(why.message) ? 'unreachable' : 'new', why)
      return false
    }
  }

  /** Wait for the next poll or try, or until somebody asks. */
  const pause = async (durationMs: number, signal: AbortSignal): Promise<void> => {
    if (!asked) {
      await rest(clock, durationMs, signal, (waken) => {
        wake = waken
      })
    }
    asked = false
  }

  const ready = (): GitMirror => {
    if (!mirror) {
      throw new FluxError('GIT_NOT_CONFIGURED', {
        what: 'git repo does not have valid config',
        why: 'fluxd runs without a Git repository.',
        next: 'Start it with --git-url.',
      })
    }
    if (state !== 'ready') {
      throw new FluxError('GIT_NOT_READY', {
        what: `git repo not ready: ${error?.what}`,
        ...(error?.why ? { why: error.why } : {}),
        next: error?.next ?? 'fluxd tries again every ten seconds; `fluxctl sync` tells when it is ready.',
        cause: error,
      })
    }
    return mirror
  }

  return {
    branch,
    safeUrl: mirror?.safeUrl ?? safeUrl(''),
    readonly: options.readonly,
    status: () => ({ state, error: state === 'ready' ? undefined : error }),
    ready,
    head: () => head,
    askRefresh() {
      asked = true
      wake()
    },
    refresh: async (signal) => fetchHead(ready(), signal),
    pushed: refreshed,
    async run(signal) {
      if (!mirror) return
      while (!signal.aborted) {
        if (state !== 'ready') {
          if (!(await step(mirror, signal))) await pause(retryMs, signal)
          continue
        }
        await pause(options.pollIntervalMs, signal)
        if (signal.aborted) return
        await fetchHead(mirror, signal).catch((thrown) => {
          if (!signal.aborted) fail('new', asGitError(thrown))
        })
      }
    },
  }
}

function asGitError(thrown: unknown): FluxError {
  return thrown instanceof FluxError
    ? thrown
    : new FluxError('GIT_FAILED', { what: messageOf(thrown), cause: thrown })
}
