import { createHash, randomBytes } from 'node:crypto'
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deflate } from 'node:zlib'
import { FluxError, messageOf } from '../../core/errors.ts'

/**
 * Writing objects in process, as loose files: the hash over `type size NUL content`, the same bytes deflated, put in
 * place by a rename. Works for SHA-1 and SHA-256 repositories alike, since only the hash differs.
 *
 * Nothing is flushed to the disk: the mirror is disposable, and what counts has been pushed.
 */

export type ObjectType = 'blob' | 'tree' | 'commit' | 'tag'

/** Write an object. @returns its hash @throws FluxError `GIT_FAILED` (such as a full disk) */
export type WriteObject = (type: ObjectType, content: Uint8Array) => Promise<string>

const compress = promisify<Uint8Array, Buffer>(deflate)

export function createObjectWriter(directory: string, algorithm: 'sha1' | 'sha256'): WriteObject {
  return async (type, content) => {
    const object = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content])
    const hash = createHash(algorithm).update(object).digest('hex')
    const folder = join(directory, 'objects', hash.slice(0, 2))
    const path = join(folder, hash.slice(2))

    const now = new Date()
    const known = await utimes(path, now, now).then(
      () => true, // and young again, so that no `git gc` takes it from under a commit in the making
      () => false,
    )
    if (known) return hash

    const temporary = join(folder, `tmp_obj_${randomBytes(6).toString('hex')}`)
    const packed = await compress(object)
    const writeTemporary = () => writeFile(temporary, packed, { mode: 0o444, flag: 'wx' })
    try {
      await writeTemporary().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
        await mkdir(folder, { recursive: true })
        await writeTemporary()
      })
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw new FluxError('GIT_FAILED', { what: `writing a ${type}: ${messageOf(error)}`, cause: error })
    }
    return hash
  }
}
