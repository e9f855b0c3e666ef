import { parseBody } from '../../api/json.ts'
import { paths } from '../../api/paths.ts'
import { readUpdateImagesQuery, readUpdatePoliciesRequest, readUpdateSpec } from '../../api/read.ts'
import { isPlan, type UpdateSpec } from '../../core/update/spec.ts'
import { ok, type Route } from '../../http/route.ts'
import type { Jobs } from '../jobs.ts'

/**
 * `POST /v9/update-manifests`, and v6's `POST /v6/update-images` and `PATCH /v6/policies` → 200 ID of the job.
 *
 * What shall be done waits as a job; what shall only be planned is planned here and now, and its job is done when
 * its ID is returned. · 400 `API_BAD_REQUEST` · 422 whatever a plan fails with
 */
export function updateManifests({ jobs }: { jobs: Jobs }): Route[] {
  const start = async (update: UpdateSpec) =>
    ok(isPlan(update) ? await jobs.plan(update) : jobs.submit(update))
  return [
    { ...paths.updateManifests, handle: ({ body }) => start(readUpdateSpec(parseBody(body))) },
    { ...paths.updateImages, handle: ({ query }) => start(readUpdateImagesQuery(query)) },
    {
      ...paths.updatePolicies,
      handle: ({ query, body }) => start(readUpdatePoliciesRequest(query, parseBody(body))),
    },
  ]
}
