import { FluxError } from '../errors.ts'

/**
 * Which files of a revision hold manifests: those below the configured paths that end in `.yaml` or `.yml`, hidden
 * ones too, except for Helm charts: a directory with both `Chart.yaml` and `values.yaml` is left out with all beneath,
 * also where a path points into it. Follows `spec/flux-v1/resources.md` §7 "Which files".
 *
 * @param allPaths every file of the revision, relative to its root
 * @param gitPaths the configured paths, files or directories; none means the root
 * @returns in the order of `allPaths`, each once
 * @throws FluxError `GIT_PATH_MISSING`
 */
export function selectManifestPaths(allPaths: readonly string[], gitPaths: readonly string[]): string[] {
  const files = new Set(allPaths)
  const charts = new Set(
    allPaths
      .filter((path) => baseName(path) === 'Chart.yaml')
      .map(directoryOf)
      .filter((directory) => files.has(join(directory, 'values.yaml'))),
  )
  const directories = new Set(allPaths.flatMap(ancestors))

  const roots = gitPaths.length === 0 ? [''] : gitPaths.map(normalize)
  roots.forEach((root, index) => {
    if (root !== undefined && (root === '' || files.has(root) || directories.has(root))) return
    throw new FluxError('GIT_PATH_MISSING', {
      what: `unable to read root path ${JSON.stringify(gitPaths[index])}`,
      why: 'The repository has no such file or directory at this revision.',
      next: 'Check --git-path: paths are relative to the root of the repository.',
    })
  })
  const wanted = new Set<string | undefined>(roots)
  return allPaths.filter((path) => {
    if (!/\.ya?ml$/.test(path)) return false
    const above = ancestors(path)
    return (
      !above.some((directory) => charts.has(directory)) &&
      (wanted.has(path) || above.some((directory) => wanted.has(directory)))
    )
  })
}

/** `./apps//web/` → `apps/web`; `undefined` for what leads out of the repository. */
function normalize(path: string): string | undefined {
  const steps: string[] = []
  for (const step of path.split('/')) {
    if (step === '' || step === '.') continue
    if (step !== '..') steps.push(step)
    else if (steps.pop() === undefined) return undefined
  }
  return steps.join('/')
}

/** The directories that hold a file, from the root (the empty text) inwards. */
function ancestors(path: string): string[] {
  const above = ['']
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) above.push(path.slice(0, at))
  return above
}

const directoryOf = (path: string) => path.slice(0, Math.max(path.lastIndexOf('/'), 0))
const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1)
const join = (directory: string, name: string) => (directory === '' ? name : `${directory}/${name}`)
