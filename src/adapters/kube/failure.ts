import { FluxError } from '../../core/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import type { KubeConnection } from './connection.ts'

/**
 * The API server's refusals (`Status` objects) in our words. The server's own message stays the first line, since it
 * names the object; why and next add whose move it is.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */

/** A failed request, whatever it was for. */
export function failureOf(status: number, body: JsonObject, connection: KubeConnection): FluxError {
  const what = messageOf(status, body)
  if (status === 401) return denied(connection)
  if (status === 403) return forbidden(what)
  if (status === 404) return new FluxError('CLUSTER_OBJECT_MISSING', { what })
  if (status === 410) {
    return new FluxError('CLUSTER_WATCH_EXPIRED', {
      what,
      why: 'The server no longer remembers what changed since then.',
      next: 'List again, and watch from there.',
    })
  }
  return unavailable(what, status)
}

/** A refused write of one object. */
export function writeFailureOf(status: number, body: JsonObject, connection: KubeConnection): FluxError {
  const what = messageOf(status, body)
  const webhook = /admission webhook "([^"]+)" denied the request/.exec(what)?.[1]
  if (webhook !== undefined) {
    return new FluxError('APPLY_DENIED', {
      what,
      why: `The cluster's admission webhook ${webhook} forbids it.`,
      next: 'Change the manifest so that it passes, or ask who runs the webhook.',
    })
  }
  if (/ValidatingAdmissionPolicy '|violates PodSecurity|exceeded quota:|denied the request/.test(what)) {
    return new FluxError('APPLY_DENIED', {
      what,
      why: 'A policy or quota of the cluster forbids it.',
      next: 'Change the manifest so that it passes, or ask who runs the cluster.',
    })
  }
  if (/request is too large|entity too large|larger than max|Too long: may not be more than/i.test(what)) {
    return new FluxError('APPLY_TOO_LARGE', {
      what,
      why: 'Kubernetes keeps objects of up to about 1.5 MiB, annotations of up to 256 KiB.',
      next: 'Split the object into several.',
    })
  }
  switch (status) {
    case 404:
      return missing(what, body)
    case 403:
      if (hasCause(body, 'NamespaceTerminating')) {
        return new FluxError('APPLY_NAMESPACE_MISSING', {
          what,
          why: 'The namespace is being deleted.',
          next: 'Wait until it is gone; it is made again when it stands in Git.',
        })
      }
      return forbidden(what)
    case 409:
      return new FluxError('APPLY_CONFLICT', {
        what,
        why: 'Somebody else changed the object at the same moment.',
        next: 'The next sync tries again.',
      })
    case 413:
      return new FluxError('APPLY_TOO_LARGE', { what, next: 'Split the object into several.' })
    case 400:
    case 422:
      return refused(what, body)
    default:
      // a manifest that has no type in the schema is answered like a fault of the server
      return isSchemaProblem(what) ? refused(what, body) : failureOf(status, body, connection)
  }
}

/** Whether server-side apply refuses the shape of an object that client-side apply would store. */
export function isRefusedShape(body: JsonObject): boolean {
  const message = body['message']
  return typeof message === 'string' && message.includes('duplicate entries for key')
}

/** What server-side apply says about a value or field that the schema doesn't have. */
function isSchemaProblem(what: string): boolean {
  return /failed to (create (manager|typed)|convert new object)|field not declared in schema|expected (map|list|string|numeric|boolean)/.test(
    what,
  )
}

function refused(what: string, body: JsonObject): FluxError {
  const causes = causesOf(body)
  const fields = causes.map((cause) => cause['field']).filter((field) => typeof field === 'string')
  const named = fields.length > 0 ? fields : [/(\.[\w.[\]"={},:/-]+): /.exec(what)?.[1]].filter(Boolean)
  const why = named.length === 0 ? undefined : `At fault: ${[...new Set(named)].join(', ')}.`
  if (
    /field is immutable|is immutable|updates to \w+ spec for fields other than|may not be changed/.test(what)
  ) {
    return new FluxError('APPLY_IMMUTABLE', {
      what,
      why: [why, 'This can only be set when the object is made.'].filter(Boolean).join(' '),
      next: 'Put the old value back, give the object another name, or delete it in the cluster so that it is made anew.',
    })
  }
  return new FluxError('APPLY_INVALID', { what, ...(why && { why }), next: 'Correct the manifest.' })
}

function missing(what: string, body: JsonObject): FluxError {
  const kind = valueAt(body, 'details', 'kind')
  const name = valueAt(body, 'details', 'name')
  if (kind === 'namespaces' && typeof name === 'string') {
    return new FluxError('APPLY_NAMESPACE_MISSING', {
      what,
      why: `There is no namespace ${name} in the cluster.`,
      next: `Add a manifest for the Namespace ${name}, or correct metadata.namespace.`,
    })
  }
  return new FluxError('APPLY_KIND_UNKNOWN', {
    what,
    why: 'The cluster does not serve this apiVersion and kind.',
    next: 'Install its CustomResourceDefinition (it may stand in the same repository), or correct apiVersion.',
  })
}

function forbidden(what: string): FluxError {
  const found =
    /User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?/.exec(
      what,
    )
  if (found === null) {
    return new FluxError('CLUSTER_FORBIDDEN', {
      what,
      why: 'The rights of this user in the cluster do not allow it.',
      next: 'Ask who runs the cluster for the right, or leave the object out.',
    })
  }
  const [, user, verb, resource, group, namespace] = found
  const collection = group ? `${resource}.${group}` : resource
  return new FluxError('CLUSTER_FORBIDDEN', {
    what,
    why: `${user} may not ${verb} ${collection}${namespace ? ` in namespace ${namespace}` : ''}.`,
    next: `Give it the verb "${verb}" on ${collection} by a ${namespace ? 'Role' : 'ClusterRole'} and a binding.`,
  })
}

function denied({ origin }: KubeConnection): FluxError {
  return new FluxError('CLUSTER_DENIED', {
    what: `The Kubernetes API at ${origin.server} does not accept our credential (Unauthorized)`,
    why:
      origin.context === undefined
        ? "The token of the pod's service account is missing, expired or revoked."
        : `The credential of context "${origin.context}" (${origin.files.join(', ')}) is missing, expired or revoked.`,
    next: origin.context === undefined ? 'Restart the pod.' : 'Sign in to the cluster again, then repeat.',
  })
}

function unavailable(what: string, status: number): FluxError {
  return new FluxError('CLUSTER_UNAVAILABLE', {
    what,
    why: `The Kubernetes API answered with status ${status}.`,
    next: status === 429 ? 'It is busy: try again later.' : 'Try again; if it stays, look at the API server.',
  })
}

function messageOf(status: number, body: JsonObject): string {
  const message = body['message']
  return typeof message === 'string' && message !== ''
    ? withoutSecret(message)
    : `the Kubernetes API answered with ${status}`
}

/** A value of a Secret that has the wrong type is quoted to us; it must not get into logs and events. */
function withoutSecret(message: string): string {
  return message.includes('Kind=Secret)') ? message.replace(/, got &.*$/s, ', got ***') : message
}

function causesOf(body: JsonObject): JsonObject[] {
  const causes: JsonValue | undefined = valueAt(body, 'details', 'causes')
  return Array.isArray(causes) ? causes.filter(isJsonObject) : []
}

function hasCause(body: JsonObject, reason: string): boolean {
  return causesOf(body).some((cause) => cause['reason'] === reason)
}
