import { type ClientHttp2Session, connect } from 'node:http2'
import type { ControlPlaneAccess } from '../src/playground/kube/control-plane.ts'
import type { FloorObject } from './fleet.ts'

/** The least that applying can cost: a loop of server-side applies, 64 at a time, over one HTTP/2 connection. */
export interface Floor {
  apply(stages: readonly (readonly FloorObject[])[]): Promise<void>
  close(): void
}

export function openFloor(plane: ControlPlaneAccess): Floor {
  const session = connect(plane.server, { ca: plane.ca })
  session.on('error', () => {}) // each request tells
  return {
    async apply(stages) {
      for (const stage of stages) {
        const next = stage.values()
        const work = async () => {
          for (const item of next) await applyOne(session, plane.token, item)
        }
        await Promise.all(Array.from({ length: Math.min(64, stage.length) }, work))
      }
    },
    close: () => session.destroy(),
  }
}

function applyOne(session: ClientHttp2Session, token: string, { path, object }: FloorObject): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'PATCH',
      ':path': `${path}?fieldManager=floor&force=true`,
      authorization: `Bearer ${token}`,
      'content-type': 'application/apply-patch+yaml',
      accept: 'application/json',
      'user-agent': 'floor',
    })
    let status = 0
    let text = ''
    stream.on('response', (headers) => {
      status = Number(headers[':status'])
    })
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('error', reject)
    stream.on('end', () => {
      JSON.parse(text)
      if (status < 300) resolve()
      else reject(new Error(`${path}: ${status} ${text}`))
    })
    stream.end(JSON.stringify(object))
  })
}
