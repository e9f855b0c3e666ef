import { createGitMirror, type GitMirrorOptions } from '../../../src/adapters/git/mirror.ts'
import { FluxError } from '../../../src/core/errors.ts'
import type { GitServer } from '../../../src/playground/git/server.ts'
import type { GitMirror } from '../../../src/ports/git.ts'

export const flux = { name: 'Flux', email: 'flux@example.com' }
const at = new Date('2024-06-02T10:00:00Z')

/** The same upstream, reached in two ways. */
export const transports = [
  { transport: 'smart HTTP', urlOf: (upstream: GitServer) => upstream.url },
  { transport: 'file', urlOf: (upstream: GitServer) => upstream.fileUrl },
]

export type TestMirror = GitMirror & AsyncDisposable

/** A mirror in a world of its own, not fetched yet. */
export function mirrorOf(url: string, options: Partial<GitMirrorOptions> = {}): TestMirror {
  const mirror = createGitMirror({
    url,
    notesRef: 'flux',
    now: () => at,
    environment: { HOME: '/nonexistent', PATH: process.env['PATH'] },
    ...options,
  })
  return { ...mirror, [Symbol.asyncDispose]: () => mirror.close() }
}

export async function fetchedMirror(
  url: string,
  options: Partial<GitMirrorOptions> = {},
): Promise<TestMirror> {
  const mirror = mirrorOf(url, options)
  await mirror.fetch()
  return mirror
}

/** The head of a branch, which must be there. */
export async function headOf(mirror: GitMirror, branch = 'main'): Promise<string> {
  const head = await mirror.branchHead(branch)
  if (head === undefined) throw new Error(`the mirror has no branch ${branch}`)
  return head
}

/** Commit a change of one file on the mirror's branch, without publishing it. */
export async function commitOn(
  mirror: GitMirror,
  path: string,
  text: string,
  message = 'Change',
): Promise<{ parent: string; revision: string }> {
  const parent = await headOf(mirror)
  const changes = new Map([[path, Buffer.from(text)]])
  return { parent, revision: await mirror.commit({ parent, changes, message, committer: flux }) }
}

/** The same, published with a note. */
export async function publishChange(mirror: GitMirror, path: string, text: string): Promise<string> {
  const { parent, revision } = await commitOn(mirror, path, text)
  const notes = new Map([[revision, `{"jobID":"${text}"}`]])
  await mirror.publish({ branch: 'main', expected: parent, revision, notes, committer: flux })
  return revision
}

/** The `FluxError` that a promise is rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<FluxError> {
  const thrown = await work.then(
    () => new Error('it should have failed'),
    (error: unknown) => error,
  )
  if (thrown instanceof FluxError) return thrown
  throw thrown
}
