import { randomUUID } from 'node:crypto'
import { checkDigest, type Repository } from './content.ts'
import { RegistryProblem } from './problem.ts'

/** Blobs on their way in: begun by POST, continued by PATCH, ended by PUT with the digest. */
export interface Uploads {
  begin(repository: Repository): Upload
  /** @throws RegistryProblem `BLOB_UPLOAD_UNKNOWN` */
  get(repository: Repository, id: string): Upload
}

export interface Upload {
  readonly id: string
  /** bytes so far */
  size(): number
  /**
   * Add a chunk.
   *
   * @param range `Content-Range`: first and last byte, inclusive
   * @throws RegistryProblem `BLOB_UPLOAD_INVALID` when it doesn't begin where the last one ended · `SIZE_INVALID`
   */
  append(bytes: Uint8Array, range?: string): void
  /** Keep what came as a blob. @throws RegistryProblem `DIGEST_INVALID` */
  finish(digest: string): void
  cancel(): void
}

const maxBlobBytes = 64 * 1024 * 1024

export function createUploads(): Uploads {
  const uploads = new Map<string, { repository: Repository; upload: Upload }>()
  return {
    begin(repository) {
      const id = randomUUID()
      let content = Buffer.alloc(0)
      const upload: Upload = {
        id,
        size: () => content.length,
        append(bytes, range) {
          const [, first, last] = /^(\d+)-(\d+)$/.exec(range ?? '') ?? []
          const fits = Number(first) === content.length && Number(last) - Number(first) + 1 === bytes.length
          if (range !== undefined && !fits) {
            throw new RegistryProblem(
              'BLOB_UPLOAD_INVALID',
              'the range does not follow what was sent before',
              {
                range: rangeOf(upload),
              },
            )
          }
          if (content.length + bytes.length > maxBlobBytes) throw new RegistryProblem('SIZE_INVALID')
          content = Buffer.concat([content, bytes])
        },
        finish(digest) {
          checkDigest(digest, content)
          repository.blobs.set(digest, content)
          uploads.delete(id)
        },
        cancel: () => void uploads.delete(id),
      }
      uploads.set(id, { repository, upload })
      return upload
    },
    get(repository, id) {
      const found = uploads.get(id)
      if (found?.repository !== repository) throw new RegistryProblem('BLOB_UPLOAD_UNKNOWN')
      return found.upload
    },
  }
}

/** What came so far, as `Range` of replies has it: inclusive, `0-0` for nothing. */
export function rangeOf(upload: Upload): string {
  return `0-${Math.max(upload.size() - 1, 0)}`
}

/** @throws RegistryProblem `SIZE_INVALID` */
export async function readBody(
  request: AsyncIterable<Uint8Array>,
  maxBytes = maxBlobBytes,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > maxBytes) throw new RegistryProblem('SIZE_INVALID')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
