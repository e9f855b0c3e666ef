import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { FluxError, messageOf } from '../../core/errors.ts'
import { newestRevisionFirst, readRevision } from '../../core/helm/revision.ts'
import { type JsonValue, valueAt } from '../../core/json.ts'
import { type Cluster, secretType } from '../../ports/cluster.ts'
import type { HelmStorage } from '../../ports/helm.ts'
import { readReleaseContent } from './run.ts'

/**
 * Helm's Secrets, read: one for each revision, with what matters for decisions in its labels and the release inside, as
 * gzipped JSON in base64, in base64 again as Kubernetes has it. Never written: that is Helm's.
 */

const maxBytes = 64 * 1024 * 1024
const unzip = promisify(gunzip)

export function createHelmStorage(cluster: Cluster): HelmStorage {
  return {
    async list(namespace, name, signal) {
      const { items } = await cluster.list(secretType, {
        namespace,
        labelSelector: `owner=helm,name=${name}`,
        metadataOnly: true,
        ...(signal && { signal }),
      })
      return items.flatMap((item) => readRevision(item) ?? []).sort(newestRevisionFirst)
    },

    async read(namespace, name, revision, signal) {
      const secret = `sh.helm.release.v1.${name}.v${revision}`
      const object = await cluster.get({ type: secretType, namespace, name: secret }, signal)
      const data = object && valueAt(object, 'data', 'release')
      if (typeof data !== 'string') return undefined
      try {
        const inner = Buffer.from(Buffer.from(data, 'base64').toString('latin1'), 'base64')
        const text = inner[0] === 0x1f ? await unzip(inner, { maxOutputLength: maxBytes }) : inner
        return readReleaseContent(JSON.parse(text.toString('utf8')) as JsonValue)
      } catch (cause) {
        throw new FluxError('HELM_STORAGE_UNREADABLE', {
          what: `reading Secret ${namespace}/${secret}: ${cause instanceof SyntaxError ? 'not JSON' : messageOf(cause)}`,
          next: 'Delete this revision, or repair it from a backup.',
          cause,
        })
      }
    },
  }
}
