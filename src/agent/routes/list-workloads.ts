import { paths } from '../../api/paths.ts'
import { readWorkloadId } from '../../api/read.ts'
import { controllerStatusesToWire } from '../../api/write.ts'
import { FluxError } from '../../core/errors.ts'
import { ok, type Route } from '../../http/route.ts'
import type { Listings } from '../listings.ts'

/** `GET /v6/services` and `GET /v11/services` `?namespace=&services=` → 200 `ControllerStatus[]` or `null` */
export function listWorkloads({ listings }: { listings: Listings }): Route[] {
  const handle: Route['handle'] = async ({ query }) => {
    const namespace = query.get('namespace') ?? ''
    const services = (query.get('services') ?? '').split(',').filter(Boolean)
    if (namespace !== '' && services.length > 0) {
      throw new FluxError('QUERY_AMBIGUOUS', {
        what: "cannot filter by 'namespace' and 'workloads' at the same time",
        next: 'Leave one of them out: an ID names its namespace.',
      })
    }
    const ids = services.length > 0 ? services.map(readWorkloadId) : undefined
    return ok(controllerStatusesToWire(await listings.workloads({ namespace, ids })))
  }
  return [
    { ...paths.services, handle },
    { ...paths.servicesById, handle },
  ]
}
