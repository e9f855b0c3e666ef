import { paths } from '../../api/paths.ts'
import { noContent, ok, type Route } from '../../http/route.ts'

/** `GET /v11/ping` → 204 · `GET /v11/version` → 200 text */
export function aboutRoutes({ version }: { version: string }): Route[] {
  return [
    { ...paths.ping, handle: () => noContent() },
    { ...paths.version, handle: () => ok(version) },
  ]
}
