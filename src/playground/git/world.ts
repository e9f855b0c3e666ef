import { execFile } from 'node:child_process'
import { closedEnvironment, createFolder } from '../processes.ts'

/**
 * Git in a world of its own: no system or global configuration, its own `HOME`, a fixed author, and dates that begin
 * on 2024-06-01 and move on by a minute with each commit, so that even hashes can be expected.
 */

export interface GitWorld extends AsyncDisposable {
  /** a folder for repositories; also `HOME` */
  readonly home: string
  readonly env: Readonly<Record<string, string>>
  /** Run git and give its standard output, without the newline at the end. */
  git(directory: string, args: readonly string[], input?: string | Uint8Array): Promise<string>
  /** the date of the next commit */
  nextDate(): string
}

const firstCommitAt = Date.UTC(2024, 5, 1, 9) / 1000

export async function createGitWorld(): Promise<GitWorld> {
  const folder = await createFolder('git-world-')
  const home = folder.path
  const env = {
    ...closedEnvironment(home),
    GIT_AUTHOR_NAME: 'World User',
    GIT_AUTHOR_EMAIL: 'world@example.com',
    GIT_COMMITTER_NAME: 'World User',
    GIT_COMMITTER_EMAIL: 'world@example.com',
  }
  let commits = 0
  const nextDate = () => `${firstCommitAt + 60 * commits++} +0000`
  return {
    home,
    env,
    nextDate,
    git(directory, args, input = '') {
      const date = nextDate()
      return new Promise((resolve, reject) => {
        const child = execFile(
          'git',
          ['-C', directory, ...args],
          {
            env: { ...env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
            maxBuffer: 256 * 1024 * 1024,
            encoding: 'utf8',
          },
          (error, stdout, stderr) =>
            error
              ? reject(
                  new Error(`git ${args.join(' ')}: ${stderr || stdout.slice(0, 2_000) || error.message}`),
                )
              : resolve(stdout.replace(/\n$/, '')),
        )
        child.stdin?.on('error', () => {}) // it ended without reading all
        child.stdin?.end(input)
      })
    },
    [Symbol.asyncDispose]: folder.remove,
  }
}
