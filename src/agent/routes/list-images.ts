import { paths } from '../../api/paths.ts'
import { readWorkloadSpec } from '../../api/read.ts'
import { imageStatusesToWire } from '../../api/write.ts'
import { FluxError } from '../../core/errors.ts'
import { allWorkloads } from '../../core/update/spec.ts'
import { ok, type Route } from '../../http/route.ts'
import type { Listings } from '../listings.ts'

/** `GET /v6/images` and `GET /v10/images` `?service=&namespace=&containerFields=&reasons=` → 200 `ImageStatus[]` or `null` */
export function listImages({ listings }: { listings: Listings }): Route[] {
  const handle: Route['handle'] = async ({ query, signal }) => {
    const namespace = query.get('namespace') ?? ''
    const spec = readWorkloadSpec(query.get('service') || allWorkloads)
    const id = spec === allWorkloads ? undefined : spec
    if (id !== undefined && namespace !== '') {
      throw new FluxError('QUERY_AMBIGUOUS', {
        what: "cannot filter by 'namespace' and 'workload' at the same time",
        next: 'Leave one of them out: an ID names its namespace.',
      })
    }
    const fields = (query.get('containerFields') ?? '').split(',').filter(Boolean)
    const reasons = query.get('reasons') === 'true'
    return ok(imageStatusesToWire(await listings.images({ namespace, id, fields, reasons, signal })))
  }
  return [
    { ...paths.images, handle },
    { ...paths.imagesV6, handle },
  ]
}
