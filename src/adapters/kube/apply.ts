import { formatJson, type JsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import type { ApplyOptions, ApplyOutcome, ObjectKey } from '../../ports/cluster.ts'
import type { ApiClient, ApiReply } from './client.ts'
import { isRefusedShape, writeFailureOf } from './failure.ts'
import { fieldManager, planTakeover } from './managed-fields.ts'
import { lastAppliedOf, metadataOf, toAppliedObject } from './manifest.ts'
import { collectionPath, objectPath } from './paths.ts'
import { planThreeWayMerge } from './three-way-merge.ts'

/**
 * Making objects as Git says: one server-side apply each, as `docs/apply.md` tells.
 *
 * Beside it stand the takeover of fields that client-side apply wrote, and the three-way merge for shapes that
 * server-side apply refuses.
 */

/** how often we begin again when somebody else writes the object in between */
const raceTries = 12
/** times in managed fields and in replies are whole seconds */
const clockStepMs = 1_000

export async function applyObject(
  client: ApiClient,
  key: ObjectKey,
  manifest: JsonObject,
  options: ApplyOptions = {},
): Promise<ApplyOutcome> {
  const wanted = toAppliedObject(manifest)
  const first = await serverSideApply(client, key, wanted, options)
  if (isRefusedShape(first.body) && first.status >= 400) {
    return await mergeObject(client, key, wanted, options, String(first.body['message']))
  }
  const applied = orThrow(client, first)
  const change = changeOf(applied, options)
  if (options.dryRun) return { object: applied.body, change, warnings: applied.warnings }

  const { reply, changed } = await takeOverFields(client, key, wanted, options, applied)
  return {
    object: reply.body,
    change: change === 'unchanged' && changed ? 'configured' : change,
    warnings: [...new Set([...applied.warnings, ...reply.warnings])],
  }
}

async function serverSideApply(
  client: ApiClient,
  key: ObjectKey,
  wanted: JsonObject,
  options: ApplyOptions,
): Promise<ApiReply> {
  return await client.send({
    method: 'PATCH',
    path: objectPath(key),
    query: { ...writeQuery(options), force: 'true' },
    contentType: 'application/apply-patch+yaml',
    body: wanted,
    signal: options.signal,
  })
}

/**
 * Hand the fields of client-side managers over to us, then apply again if there are some that Git no longer names.
 *
 * The new list of owners is written only over the version that it was made from.
 */
async function takeOverFields(
  client: ApiClient,
  key: ObjectKey,
  wanted: JsonObject,
  options: ApplyOptions,
  applied: ApiReply,
): Promise<{ reply: ApiReply; changed: boolean }> {
  let reply = applied
  for (let tries = 1; ; tries++) {
    const takeover = planTakeover(valueAt(reply.body, 'metadata', 'managedFields'))
    if (takeover === undefined || tries > raceTries) return { reply, changed: tries > 1 }
    const handedOver = await client.send({
      method: 'PATCH',
      path: objectPath(key),
      query: { fieldManager },
      contentType: 'application/json-patch+json',
      body: [
        { op: 'replace', path: '/metadata/managedFields', value: takeover.managedFields },
        { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersionOf(reply.body) ?? '' },
      ],
      signal: options.signal,
    })
    const lostRace = handedOver.status === 409 && tries < raceTries
    if (!lostRace) orThrow(client, handedOver)
    if (!lostRace && !takeover.applyAgain) return { reply: handedOver, changed: true }
    reply = orThrow(client, await serverSideApply(client, key, wanted, options))
  }
}

/** Apply the way client-side apply does: from what was applied last, what is wanted, and what is there. */
async function mergeObject(
  client: ApiClient,
  key: ObjectKey,
  wanted: JsonObject,
  options: ApplyOptions,
  refusal: string,
): Promise<ApplyOutcome> {
  const warning = refusedShapeWarning(refusal, options.source)
  for (let tries = 1; ; tries++) {
    const live = await client.send({ method: 'GET', path: objectPath(key), signal: options.signal })
    const create = live.status === 404
    if (!create) orThrow(client, live)
    const patch = create ? wanted : planThreeWayMerge(lastAppliedOf(live.body), wanted, live.body)
    if (Object.keys(patch).length === 0)
      return { object: live.body, change: 'unchanged', warnings: [warning] }
    const reply = await client.send({
      method: create ? 'POST' : 'PATCH',
      path: create ? collectionPath(key.type, key.namespace) : objectPath(key),
      query: writeQuery(options),
      ...(!create && { contentType: 'application/merge-patch+json' }),
      body: patch,
      signal: options.signal,
    })
    if ((reply.status === 409 || (reply.status === 404 && !create)) && tries < raceTries) continue
    const { body, warnings } = orThrow(client, reply)
    const change = create ? 'created' : differs(live.body, body) ? 'configured' : 'unchanged'
    return { object: body, change, warnings: [warning, ...warnings] }
  }
}

/** The server names the path and the key: `….env: duplicate entries for key [name="A"]`. */
function refusedShapeWarning(refusal: string, source: string | undefined): string {
  const found = /(\.\S+: duplicate entries for key .*?\])(?:,|$|\n)/.exec(refusal)?.[1] ?? refusal
  return `${source === undefined ? '' : `${source}: `}${found}: applied by three-way merge, which keeps both`
}

function writeQuery({ dryRun }: ApplyOptions): Record<string, string> {
  return { fieldManager, fieldValidation: 'Warn', ...(dryRun && { dryRun: 'All' }) }
}

/**
 * Whether an apply changed anything. It did not when the version is the one that the caller saw before, or when our
 * entry of the managed fields was there before the request: the server leaves its time alone when nothing differs.
 */
function changeOf({ status, body, dateMs, tookMs }: ApiReply, { resourceVersion }: ApplyOptions) {
  if (status === 201) return 'created'
  if (resourceVersion !== undefined && resourceVersion === resourceVersionOf(body)) return 'unchanged'
  const entries: JsonValue = valueAt(body, 'metadata', 'managedFields') ?? []
  const ours = (Array.isArray(entries) ? entries : []).find(
    (entry) => valueAt(entry, 'manager') === fieldManager && valueAt(entry, 'operation') === 'Apply',
  )
  const writtenMs = Date.parse(String(valueAt(ours, 'time')))
  return writtenMs + tookMs + clockStepMs < dateMs ? 'unchanged' : 'configured'
}

/** Whether two versions differ in more than what others write all the time. */
function differs(before: JsonObject, after: JsonObject): boolean {
  const told = (object: JsonObject) => {
    const { resourceVersion: _version, managedFields: _owners, ...metadata } = metadataOf(object)
    return formatJson({ ...object, metadata, status: null }, { sortKeys: true })
  }
  return told(before) !== told(after)
}

function resourceVersionOf(object: JsonObject): string | undefined {
  const version = valueAt(object, 'metadata', 'resourceVersion')
  return typeof version === 'string' ? version : undefined
}

function orThrow(client: ApiClient, reply: ApiReply): ApiReply {
  if (reply.status >= 300) throw writeFailureOf(reply.status, reply.body, client.connection)
  return reply
}
