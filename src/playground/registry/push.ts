import { request } from 'node:http'
import { digestOf } from './content.ts'
import { imageOf } from './images.ts'

export interface PushRequest {
  /** `127.0.0.1:PORT`; spoken to over plain HTTP */
  host: string
  repository: string
  tag: string
  createdAt: Date
  auth?: { user: string; password: string }
}

/**
 * Push an image without layers as a CI system would: its configuration, then its manifest under a tag.
 *
 * @returns digest of the manifest
 * @throws Error with the registry's words
 */
export async function pushImage({ host, repository, tag, createdAt, auth }: PushRequest): Promise<string> {
  const ask = (method: string, path: string, body?: Uint8Array, contentType = 'application/octet-stream') =>
    new Promise<{ status: number; location: string; text: string }>((resolve, reject) => {
      const { user, password } = auth ?? {}
      const outgoing = request(
        new URL(path, `http://${host}`),
        {
          method,
          agent: false,
          headers: { 'content-type': contentType, 'content-length': body?.length ?? 0 },
          ...(auth && { auth: `${user}:${password}` }),
        },
        async (reply) => {
          let text = ''
          reply.setEncoding('utf8').on('error', reject)
          for await (const chunk of reply) text += chunk
          const { statusCode: status = 0, headers } = reply
          if (status >= 300) reject(new Error(`${method} ${path}: ${status} ${text.trim()}`))
          else resolve({ status, location: headers.location ?? '', text })
        },
      )
      outgoing.on('error', reject).end(body)
    })

  const { config, manifest, mediaType } = imageOf(`${repository}:${tag}`, createdAt.toISOString())
  const { location } = await ask('POST', `/v2/${repository}/blobs/uploads/`)
  const upload = new URL(location, `http://${host}`)
  upload.searchParams.set('digest', digestOf(config))
  await ask('PUT', `${upload.pathname}${upload.search}`, config)
  await ask('PUT', `/v2/${repository}/manifests/${tag}`, manifest, mediaType)
  return digestOf(manifest)
}
