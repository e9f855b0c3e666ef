import { request as httpsRequest } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { type JsonObject, type JsonValue, valueAt } from '../../src/core/json.ts'
import { type ControlPlaneAccess, request } from '../../src/playground/kube/control-plane.ts'
import { namespace } from './world.ts'

/**
 * Writes down what every object of the namespace has ever been, past all of fluxd's own code.
 *
 * A `content` is what the soak changes of an object: image and policies of a Deployment, data of a ConfigMap.
 */
export interface Recorder {
  /** When an object, `Kind/name`, was first seen with a content. */
  seenAtMs(object: string, content: string): number | undefined
  /** Stretches of time in which something may have been missed. */
  readonly blind: readonly { fromMs: number; toMs: number }[]
  readonly ended: Promise<unknown>
}

const collections = { Deployment: 'apis/apps/v1', ConfigMap: 'api/v1' }

export function contentOf(object: JsonValue): string {
  const containers = valueAt(object, 'spec', 'template', 'spec', 'containers')
  const image = valueAt(Array.isArray(containers) ? containers[0] : undefined, 'image')
  const annotations = Object.entries((valueAt(object, 'metadata', 'annotations') ?? {}) as JsonObject)
    .filter(([key]) => /^fluxcd\.io\/(?!sync-)/.test(key))
    .sort()
  return JSON.stringify([image ?? valueAt(object, 'data', 'from') ?? null, annotations])
}

export function startRecorder(plane: ControlPlaneAccess, signal: AbortSignal): Recorder {
  const seen = new Map<string, number>()
  const blind: { fromMs: number; toMs: number }[] = []
  const take = (kind: string, object: JsonValue) => {
    const key = `${kind}/${String(valueAt(object, 'metadata', 'name'))} ${contentOf(object)}`
    if (!seen.has(key)) seen.set(key, Date.now())
  }

  const follow = async (kind: keyof typeof collections) => {
    const path = `/${collections[kind]}/namespaces/${namespace}/${kind.toLowerCase()}s`
    let version: string | undefined
    let knownUntilMs = Date.now()
    while (!signal.aborted) {
      try {
        if (version === undefined) {
          const { status, body } = await request(plane, 'GET', path)
          if (status !== 200) throw new Error(`list: ${status}`)
          for (const item of valueAt(body as JsonValue, 'items') as JsonValue[]) take(kind, item)
          version = String(valueAt(body as JsonValue, 'metadata', 'resourceVersion'))
          blind.push({ fromMs: knownUntilMs, toMs: Date.now() })
        }
        await watch(plane, `${path}?watch=1&resourceVersion=${version}`, signal, (event) => {
          if (valueAt(event, 'type') === 'ERROR') {
            version = undefined
            return
          }
          const object = valueAt(event, 'object') ?? null
          take(kind, object)
          version = String(valueAt(object, 'metadata', 'resourceVersion'))
          knownUntilMs = Date.now()
        })
      } catch {
        await delay(200) // the API server is away
      }
    }
  }

  const ended = Promise.all([follow('Deployment'), follow('ConfigMap')])
  return { seenAtMs: (object, content) => seen.get(`${object} ${content}`), blind, ended }
}

function watch(
  { server, token, ca }: ControlPlaneAccess,
  path: string,
  signal: AbortSignal,
  onEvent: (event: JsonValue) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    const outgoing = httpsRequest(new URL(path, server), { ca, agent: false, signal, headers }, (reply) => {
      let rest = ''
      reply.setEncoding('utf8').on('error', reject)
      reply.on('data', (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) onEvent(JSON.parse(line) as JsonValue)
      })
      reply.on('end', resolve)
    })
    outgoing.on('error', reject).end()
  })
}
