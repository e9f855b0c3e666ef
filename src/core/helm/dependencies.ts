import { FluxError } from '../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'
import { UnreadableNode } from '../manifest/node.ts'
import { readPart } from '../manifest/read-part.ts'
import { parseConstraint, parseVersion, satisfies } from '../policy/semver.ts'

/** A chart that another one needs in its folder `charts`. */
export interface Dependency {
  name: string
  /** a range; with a lock, the one version */
  version: string
  /** `https://…`, `oci://…`, `file://…`, `@alias` or `alias:name`; empty: it is in `charts` already */
  repository: string
}

/**
 * What a chart depends on: as the lock says where there is one, otherwise as declared.
 *
 * @param files texts of `Chart.yaml`, `Chart.lock`, `requirements.yaml` and `requirements.lock`, as far as they are there
 * @throws FluxError `CHART_INVALID`
 */
export function readDependencies(files: Readonly<Record<string, string | undefined>>): Dependency[] {
  const declared = listIn(files, 'Chart.yaml')
  const isOld = declared.length === 0
  const wanted = isOld ? listIn(files, 'requirements.yaml') : declared
  const lockName = isOld ? 'requirements.lock' : 'Chart.lock'
  if (wanted.length === 0 || files[lockName] === undefined) return wanted
  const locked = listIn(files, lockName)
  const inStep =
    wanted.length === locked.length &&
    wanted.every((dependency) => locked.some((lock) => fits(lock, dependency)))
  if (inStep) return locked
  const source = isOld ? 'requirements.yaml' : 'Chart.yaml'
  throw new FluxError('CHART_INVALID', {
    what: `the lock file (${lockName}) is out of sync with the dependencies file (${source})`,
    next: 'Run `helm dependency update` in the chart, and commit the lock.',
  })
}

function fits(lock: Dependency, wanted: Dependency): boolean {
  if (lock.name !== wanted.name || lock.repository !== wanted.repository) return false
  if (lock.version === wanted.version || wanted.repository.startsWith('file://')) return true
  const version = parseVersion(lock.version)
  const range = parseConstraint(wanted.version || '*')
  return version !== undefined && range !== undefined && satisfies(version, range)
}

function listIn(files: Readonly<Record<string, string | undefined>>, name: string): Dependency[] {
  const text = files[name]
  if (text === undefined) return []
  const dependencies = valueAt(readYaml(text, name), 'dependencies')
  return (Array.isArray(dependencies) ? dependencies : []).filter(isJsonObject).map((entry: JsonObject) => {
    const at = (key: string) => (typeof entry[key] === 'string' ? entry[key] : '')
    const dependency = { name: at('name'), version: at('version'), repository: at('repository') }
    // it becomes part of a path
    if (/^[a-zA-Z0-9_][a-zA-Z0-9._-]*$/.test(dependency.name)) return dependency
    throw new FluxError('CHART_INVALID', {
      what: `${name} names the dependency ${JSON.stringify(dependency.name)}, which is no name of a chart`,
    })
  })
}

function readYaml(text: string, name: string): JsonValue | undefined {
  try {
    return readPart(text)[0]?.value
  } catch (error) {
    if (!(error instanceof UnreadableNode)) throw error
    throw new FluxError('CHART_INVALID', { what: `${name} cannot be read: ${error.message}`, cause: error })
  }
}
