import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Lock, takeLock } from '../store/lock.ts'

/**
 * A folder for this process's temporary files, which goes when the process goes, however it ends: what a killed one
 * left is removed by the next that starts. Whether a process still lives is told by a lock in its folder.
 */
export interface OwnFolder {
  readonly path: string
  remove(): Promise<void>
}

const prefix = 'flux-run-'
/** a folder without a lock is taken for one in the making until it is so old */
const makingMs = 60_000

/** Make a folder in the first of these that takes one; `undefined` where none does. */
export async function makeOwnFolder(parents: readonly string[]): Promise<OwnFolder | undefined> {
  const cleaned = Promise.all(parents.map(removeAbandoned))
  for (const parent of parents) {
    const path = await mkdtemp(join(parent, prefix)).catch(() => undefined)
    if (path === undefined) continue
    const lock = await takeLock(holderOf(path)).catch(() => undefined) // no socket there: then nobody will take it away
    return {
      path,
      async remove() {
        await cleaned
        await removeFolder(path, lock)
      },
    }
  }
  await cleaned
  return undefined
}

/** Remove the folders of processes that are gone, as far as they are ours. */
async function removeAbandoned(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [])
  for (const name of names.filter((name) => name.startsWith(prefix))) {
    const path = join(parent, name)
    try {
      const { uid, mtimeMs } = await lstat(path)
      if (uid !== process.getuid?.()) continue
      const isThere = await lstat(holderOf(path)).then(
        () => true,
        () => false,
      )
      if (!isThere && Date.now() - mtimeMs < makingMs) continue
      await removeFolder(path, await takeLock(holderOf(path)))
    } catch {
      // its process lives, or another one removes it, or what that process started still writes there
    }
  }
}

async function removeFolder(path: string, lock: Lock | undefined): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 })
  } finally {
    await lock?.release()
  }
}

function holderOf(folder: string): string {
  return join(folder, 'holder')
}
