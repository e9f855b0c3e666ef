import { parseBody } from '../../api/json.ts'
import { paths, requestIdHeader } from '../../api/paths.ts'
import { readUpdateImagesQuery, readUpdatePoliciesRequest, readUpdateSpec } from '../../api/read.ts'
import { readRequestId } from '../../api/request-id.ts'
import { isPlan, type UpdateSpec } from '../../core/update/spec.ts'
import { ok, type Route, type RouteRequest } from '../../http/route.ts'
import type { Jobs } from '../jobs.ts'

/**
 * `POST /v9/update-manifests`, and v6's `POST /v6/update-images` and `PATCH /v6/policies` → 200 ID of the job.
 *
 * What shall be done waits as a job; what shall only be planned is planned here and now, and its job is done when
 * its ID is returned. With a header `Flux-Request-Id` asking again is safe: see `Jobs`. · 400 `API_BAD_REQUEST` · 409
 * `REQUEST_ID_REUSED` · 422 whatever a plan fails with
 */
export function updateManifests({ jobs }: { jobs: Jobs }): Route[] {
  const start = async (update: UpdateSpec, { header }: RouteRequest) => {
    const requestId = readRequestId(header(requestIdHeader))
    return ok(isPlan(update) ? await jobs.plan(update) : await jobs.submit(update, requestId))
  }
  return [
    {
      ...paths.updateManifests,
      handle: (request) => start(readUpdateSpec(parseBody(request.body)), request),
    },
    { ...paths.updateImages, handle: (request) => start(readUpdateImagesQuery(request.query), request) },
    {
      ...paths.updatePolicies,
      handle: (request) => start(readUpdatePoliciesRequest(request.query, parseBody(request.body)), request),
    },
  ]
}
