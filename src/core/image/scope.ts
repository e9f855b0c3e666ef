import { globMatches } from '../policy/glob.ts'

/** Globs on canonical names without a tag: `--registry-include-image`, `--registry-exclude-image`. */
export interface ScanScope {
  /** empty: all */
  include: readonly string[]
  exclude: readonly string[]
}

/** Whether an image repository is scanned. An exclusion wins over an inclusion. */
export function isScanned(name: string, { include, exclude }: ScanScope): boolean {
  if (exclude.some((glob) => globMatches(glob, name))) return false
  return include.length === 0 || include.some((glob) => globMatches(glob, name))
}
