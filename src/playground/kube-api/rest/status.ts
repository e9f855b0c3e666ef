import type { JsonObject } from '../../../core/json.ts'
import { type Resource, StatusError } from '../model.ts'

/**
 * `Status` objects: what Kubernetes answers in place of an object, and the refusals that more than one verb gives.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */

/** A refusal as the body of a reply. */
export function statusOf({ code, reason, message, details }: StatusError): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason !== '' && { reason }),
    ...(details !== undefined && { details }),
    code,
  }
}

type Named = Pick<Resource, 'group' | 'plural'>

/** `deployments.apps`, as messages and collections name a resource. */
export function collectionName({ group, plural }: Named): string {
  return group === '' ? plural : `${plural}.${group}`
}

function detailsOf({ group, plural }: Named, name: string): JsonObject {
  return { ...(name !== '' && { name }), ...(group !== '' && { group }), kind: plural }
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function notFound(resource: Named, name: string): StatusError {
  const message = `${collectionName(resource)} "${name}" not found`
  return new StatusError(404, 'NotFound', message, detailsOf(resource, name))
}

/** @param ending whether the one that exists is being deleted */
export function alreadyExists(resource: Named, name: string, ending = false): StatusError {
  const message = `${ending ? 'object is being deleted: ' : ''}${collectionName(resource)} "${name}" already exists`
  return new StatusError(409, 'AlreadyExists', message, detailsOf(resource, name))
}

export function conflict(resource: Named, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${collectionName(resource)} "${name}": ${why}`
  return new StatusError(409, 'Conflict', message, detailsOf(resource, name))
}

export function forbidden(resource: Named, name: string, why: string, causes?: JsonObject[]): StatusError {
  const object = name === '' ? collectionName(resource) : `${collectionName(resource)} "${name}"`
  const details = { ...detailsOf(resource, name), ...(causes !== undefined && { causes }) }
  return new StatusError(403, 'Forbidden', `${object} is forbidden: ${why}`, details)
}

export interface Cause {
  /** `FieldValueRequired`, … */
  reason: string
  message: string
  field: string
}

/** 422 about fields. `kind` stands as the server's code for the resource has it: most say the kind, some the resource. */
export function invalid(group: string, kind: string, name: string, causes: readonly Cause[]): StatusError {
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))]
  const text = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  const type = group === '' ? kind : `${kind}.${group}`
  return new StatusError(422, 'Invalid', `${type} "${name}" is invalid: ${text}`, {
    ...(name !== '' && { name }),
    ...(group !== '' && { group }),
    ...(kind !== '' && { kind }),
    causes: causes.map(({ reason, message, field }) => ({ reason, message, field })),
  })
}

/** No resource by this name. */
export function unknownResource(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource'
  return new StatusError(405, 'MethodNotAllowed', message, {})
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return new StatusError(415, 'UnsupportedMediaType', message)
}

export function notAcceptable(): StatusError {
  const types = [
    'application/json',
    'application/yaml',
    'application/vnd.kubernetes.protobuf',
    'application/json;stream=watch',
    'application/vnd.kubernetes.protobuf;stream=watch',
  ]
  const message = `406: Not Acceptable\n\nAvailable representations: ${types.join(', ')}`
  return new StatusError(406, 'NotAcceptable', message, {})
}

export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message)
}
