import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Programs of others that tests run: kubectl and helm, in the versions we promise to get along with.
 *
 * `npm run neighbours` fetches them into `.cache/neighbours`; `FLUXCTL_NEIGHBOURS` may name another folder with the same
 * names (`kubectl-1.36`). Where one is missing its tests are skipped: `test.skipIf(kubectl('1.36') === undefined)`.
 */

export const kubectlVersions = ['1.36', '1.31'] as const
export const helmVersions = ['4.2', '3.17'] as const

/** Path of the program, if it is there. */
export function kubectl(version: (typeof kubectlVersions)[number]): string | undefined {
  return find(`kubectl-${version}`)
}

/** Path of the program, if it is there. */
export function helm(version: (typeof helmVersions)[number]): string | undefined {
  return find(`helm-${version}`)
}

function find(name: string): string | undefined {
  const path = join(resolve(process.env['FLUXCTL_NEIGHBOURS'] || '.cache/neighbours'), name)
  return existsSync(path) ? path : undefined
}
