import { ask, type Question } from '../ask.ts'
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
  const login = auth && `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`
  const send = async (method: string, path: string | URL, question: Question = {}) => {
    const url = new URL(path, `http://${host}`)
    const headers = { ...question.headers, ...(login && { authorization: login }) }
    const answer = await ask(url, { ...question, method, headers })
    if (answer.status >= 300)
      throw new Error(`${method} ${url.pathname}: ${answer.status} ${answer.text.trim()}`)
    return answer
  }

  const { config, manifest, mediaType } = imageOf(`${repository}:${tag}`, createdAt.toISOString())
  const { headers } = await send('POST', `/v2/${repository}/blobs/uploads/`, { body: '' })
  const upload = new URL(headers.location ?? '', `http://${host}`)
  upload.searchParams.set('digest', digestOf(config))
  await send('PUT', upload, { body: config, headers: { 'content-type': 'application/octet-stream' } })
  await send('PUT', `/v2/${repository}/manifests/${tag}`, {
    body: manifest,
    headers: { 'content-type': mediaType },
  })
  return digestOf(manifest)
}
