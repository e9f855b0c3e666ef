import { paths } from '../../api/paths.ts'
import { ok, type Route } from '../../http/route.ts'
import type { Syncer } from '../sync.ts'

/** `GET /v6/sync?ref=` → 200 revisions that are not applied yet, newest first · 422 `GIT_REF_UNKNOWN` */
export function getSyncStatus({ syncer }: { syncer: Syncer }): Route {
  return {
    ...paths.syncStatus,
    handle: async ({ query, signal }) => ok(await syncer.outstanding(query.get('ref') ?? '', signal)),
  }
}
