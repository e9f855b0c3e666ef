import { parseBody } from '../../api/json.ts'
import { paths } from '../../api/paths.ts'
import { gitConfigToWire } from '../../api/write.ts'
import { FluxError } from '../../core/errors.ts'
import { ok, type Route } from '../../http/route.ts'
import type { Identity } from '../identity.ts'
import type { Repository } from '../repository.ts'

/** `POST /v9/git-repo-config`, body `true` to make a new key first → 200 `GitConfig`, whether Git is ready or not */
export function gitRepoConfig(agent: {
  repository: Repository
  identity: Identity
  gitPaths: readonly string[]
}): Route {
  return {
    ...paths.gitRepoConfig,
    async handle({ body }) {
      const regenerate = parseBody(body)
      if (typeof regenerate !== 'boolean' && regenerate !== null) {
        throw new FluxError('API_BAD_REQUEST', {
          what: 'the body is neither true nor false',
          next: 'Send true to make a new key pair, or false.',
        })
      }
      if (regenerate) await agent.identity.regenerate()
      const { state, error } = agent.repository.status()
      return ok(
        gitConfigToWire({
          url: agent.repository.safeUrl,
          branch: agent.repository.branch,
          path: agent.gitPaths.join(','),
          publicKey: await agent.identity.publicKey(),
          status: state,
          error: error?.what ?? '',
        }),
      )
    },
  }
}
