import { closeSync, openSync, writeSync } from 'node:fs'
import type { JsonObject } from '../../core/json.ts'
import type { ResourceRequest, User } from './rest/request.ts'

/**
 * The audit log: a line for every finished request, at the level `Metadata`, as the real server writes it.
 *
 * @see https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
 */

export interface FinishedRequest {
  id: string
  verb: string
  uri: string
  user: User
  impersonated?: User
  sourceIp: string
  userAgent: string
  asked: ResourceRequest | undefined
  code: number
  receivedAt: Date
}

export interface AuditLog {
  write(request: FinishedRequest): void
  close(): void
}

export function openAuditLog(path: string): AuditLog {
  const file = openSync(path, 'a', 0o600)
  let open = true
  return {
    write: (request) => {
      // requests that the end cut off finish after it
      if (open) writeSync(file, `${JSON.stringify(entryOf(request))}\n`)
    },
    close: () => {
      if (open) closeSync(file)
      open = false
    },
  }
}

function entryOf(request: FinishedRequest): JsonObject {
  const { id, verb, uri, user, impersonated, sourceIp, userAgent, asked, code, receivedAt } = request
  const microseconds = (date: Date) => date.toISOString().replace('Z', '000Z')
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: id,
    stage: 'ResponseComplete',
    requestURI: uri,
    verb,
    user: toldUser(user),
    ...(impersonated !== undefined && { impersonatedUser: toldUser(impersonated) }),
    sourceIPs: [sourceIp],
    ...(userAgent !== '' && { userAgent }),
    ...(asked !== undefined && { objectRef: objectOf(asked) }),
    responseStatus: { metadata: {}, code },
    requestReceivedTimestamp: microseconds(receivedAt),
    stageTimestamp: microseconds(new Date()),
  }
}

function toldUser({ username, uid, groups }: User): JsonObject {
  return { username, ...(uid !== undefined && { uid }), groups: [...groups] }
}

function objectOf({ plural, namespace, name, group, version, subresource }: ResourceRequest): JsonObject {
  return {
    resource: plural,
    ...(namespace !== '' && { namespace }),
    ...(name !== '' && { name }),
    ...(group !== '' && { apiGroup: group }),
    apiVersion: version,
    ...(subresource !== '' && { subresource }),
  }
}
