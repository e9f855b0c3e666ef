import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import type { Folder } from '../../ports/folder.ts'

/** Open a folder, or the one file that a path names. @throws FluxError `PATH_UNREADABLE` */
export async function openFolder(path: string): Promise<Folder> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  return {
    async list() {
      if (!found.isDirectory()) return [path]
      const entries = await readdir(path, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((file) => !/(^|\/)\.git\//.test(file))
        .sort()
    },
    read: (file) =>
      readFile(file).catch((cause: unknown) => {
        throw unreadable(file, cause)
      }),
    async write(file, text) {
      const partial = `${file}.${process.pid}.tmp`
      try {
        const { mode } = await stat(file)
        await writeFile(partial, text, { mode, flag: 'wx' })
        await rename(partial, file)
      } catch (cause) {
        throw new FluxError('PATH_UNWRITABLE', {
          what: `cannot write ${file}: ${(cause as NodeJS.ErrnoException).code ?? cause}`,
          why: 'The file is as it was.',
          next: 'Make it writable for this user, and run this again.',
          cause,
        })
      }
    },
  }
}

function unreadable(path: string, cause: unknown): FluxError {
  return new FluxError('PATH_UNREADABLE', {
    what: `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? cause}`,
    next: 'Name a folder or a file that is there and that this user may read.',
    cause,
  })
}
