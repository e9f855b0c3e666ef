import { parseBody } from '../../api/json.ts'
import { paths } from '../../api/paths.ts'
import { readChange } from '../../api/read.ts'
import { equivalentUrls } from '../../core/git/remote-url.ts'
import { accepted, type Route } from '../../http/route.ts'
import type { Log } from '../../ports/log.ts'
import type { Repository } from '../repository.ts'
import type { Scanner } from '../scan.ts'

/** `POST /v11/notify`: something changed upstream → 202 · 400 `API_BAD_REQUEST` */
export function notify(agent: { repository: Repository; gitUrl: string; scanner: Scanner; log: Log }): Route {
  return {
    ...paths.notify,
    handle({ body }) {
      const change = readChange(parseBody(body))
      if (change.kind === 'image') agent.scanner.notify(change.image)
      else if (equivalentUrls(change.url, agent.gitUrl) && change.branch !== agent.repository.branch) {
        const { url, branch } = change
        agent.log.write({ component: 'daemon', msg: 'notified about unrelated change', url, branch })
      } else agent.repository.askRefresh()
      return accepted()
    },
  }
}
