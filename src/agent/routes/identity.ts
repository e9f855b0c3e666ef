import { paths } from '../../api/paths.ts'
import { publicKeyToWire } from '../../api/write.ts'
import { noContent, ok, type Route } from '../../http/route.ts'
import type { Identity } from '../identity.ts'

/** `GET /v6/identity.pub` → 200 `PublicSSHKey`, which probes ask for · `POST` → 204, with a new key */
export function identityRoutes({ identity }: { identity: Identity }): Route[] {
  return [
    { ...paths.identity, handle: async () => ok(publicKeyToWire(await identity.publicKey())) },
    {
      ...paths.regenerateIdentity,
      async handle() {
        await identity.regenerate()
        return noContent()
      },
    },
  ]
}
