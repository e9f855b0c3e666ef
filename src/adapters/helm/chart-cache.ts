import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PreparedChart } from '../../ports/helm.ts'

/** Packages of charts in a folder: each fetched once, the ones not used for longest given up where it grows too large. */
export interface ChartCache {
  /** The file of that name, fetched where it is not there; kept at least until it is released. */
  use(name: string, fetch: () => Promise<Uint8Array>): Promise<PreparedChart>
}

const defaultMaxBytes = 512 * 1024 * 1024

export function createChartCache({
  folder,
  maxBytes = defaultMaxBytes,
}: {
  folder: string
  maxBytes?: number
}): ChartCache {
  const users = new Map<string, number>()
  const fetching = new Map<string, Promise<void>>()

  const sweep = async () => {
    const files = await Promise.all(
      (await readdir(folder)).map(async (name) => {
        const { size, mtimeMs } = await stat(join(folder, name)).catch(() => ({ size: 0, mtimeMs: 0 }))
        return { name, size, mtimeMs }
      }),
    )
    let total = files.reduce((sum, { size }) => sum + size, 0)
    for (const { name, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (total <= maxBytes) return
      if (users.has(name) || !name.endsWith('.tgz')) continue
      await rm(join(folder, name), { force: true })
      total -= size
    }
  }

  const fill = async (name: string, fetch: () => Promise<Uint8Array>) => {
    const path = join(folder, name)
    const now = new Date()
    const isThere = await utimes(path, now, now).then(
      () => true,
      () => false,
    )
    if (isThere) return
    const bytes = await fetch()
    await mkdir(folder, { recursive: true })
    // a name of its own until it is whole
    const partial = `${path}.${randomUUID()}`
    await writeFile(partial, bytes)
    await rename(partial, path)
    await sweep()
  }

  return {
    async use(name, fetch) {
      users.set(name, (users.get(name) ?? 0) + 1)
      const release = async () => {
        const left = (users.get(name) ?? 1) - 1
        if (left > 0) users.set(name, left)
        else users.delete(name)
      }
      try {
        const running = fetching.get(name) ?? fill(name, fetch).finally(() => fetching.delete(name))
        fetching.set(name, running)
        await running
        return { path: join(folder, name), release }
      } catch (error) {
        await release()
        throw error
      }
    },
  }
}
