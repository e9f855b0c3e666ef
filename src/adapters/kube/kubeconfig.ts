import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { load } from 'js-yaml'
import { FluxError, messageOf } from '../../core/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/**
 * kubeconfig files as kubectl reads them: of several files the first to name something wins, and relative paths are
 * relative to the file they stand in. Only reading and merging happens here; `connection.ts` makes sense of it.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files
 */

/** A cluster, user or context as it stands in the file, and the folder that its relative paths start from. */
export interface KubeconfigEntry {
  value: JsonObject
  folder: string
}

export interface Kubeconfig {
  currentContext: string
  contexts: ReadonlyMap<string, KubeconfigEntry>
  clusters: ReadonlyMap<string, KubeconfigEntry>
  users: ReadonlyMap<string, KubeconfigEntry>
}

/** A setting without which there is no connection. The prefix is the text that v1's users know. */
export function invalidKubeconfig(problem: string, text: { why?: string; next?: string; cause?: unknown }) {
  return new FluxError('KUBECONFIG_INVALID', {
    what: `Could not load kubernetes configuration file: ${problem}`,
    ...text,
  })
}

/**
 * Read and merge kubeconfig files; those that do not exist are passed over.
 *
 * @throws FluxError `KUBECONFIG_INVALID` for a file that can't be read or isn't a kubeconfig
 */
export async function readKubeconfig(files: readonly string[]): Promise<Kubeconfig> {
  const merged = {
    currentContext: '',
    contexts: new Map<string, KubeconfigEntry>(),
    clusters: new Map<string, KubeconfigEntry>(),
    users: new Map<string, KubeconfigEntry>(),
  }
  for (const file of files) {
    const config = await readOne(file)
    if (config === undefined) continue
    const folder = dirname(resolve(file))
    merged.currentContext ||= textIn(config, 'current-context') ?? ''
    addNamed(merged.contexts, config['contexts'], 'context', folder)
    addNamed(merged.clusters, config['clusters'], 'cluster', folder)
    addNamed(merged.users, config['users'], 'user', folder)
  }
  return merged
}

async function readOne(file: string): Promise<JsonObject | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw invalidKubeconfig(messageOf(error), {
      next: `Make ${file} readable, or set KUBECONFIG.`,
      cause: error,
    })
  }
  let config: unknown
  try {
    config = text.trim() === '' ? {} : load(text)
  } catch (error) {
    // the parser's own message quotes the lines around the fault, which may hold a token
    const line = (error as { mark?: { line?: number } }).mark?.line
    throw invalidKubeconfig(`${file}${line === undefined ? '' : `:${line + 1}`}: not valid YAML`, {
      next: 'Correct the file, or name another one with KUBECONFIG.',
    })
  }
  if (!isJsonObject(config)) {
    throw invalidKubeconfig(`${file}: not a mapping`, { next: 'Name a kubeconfig file with KUBECONFIG.' })
  }
  return config
}

function addNamed(
  into: Map<string, KubeconfigEntry>,
  list: JsonValue | undefined,
  key: string,
  folder: string,
) {
  if (!Array.isArray(list)) return
  for (const item of list) {
    const name = textIn(item, 'name')
    if (name === undefined || into.has(name)) continue
    const value = isJsonObject(item) ? item[key] : undefined
    into.set(name, { value: isJsonObject(value) ? value : {}, folder })
  }
}

/** A text of a mapping; empty counts as absent, as in client-go. */
export function textIn(value: JsonValue | undefined, key: string): string | undefined {
  const found = isJsonObject(value) ? value[key] : undefined
  if (typeof found === 'number') return String(found)
  return typeof found === 'string' && found !== '' ? found : undefined
}

/** A path of an entry, made absolute. */
export function pathIn({ value, folder }: KubeconfigEntry, key: string): string | undefined {
  const path = textIn(value, key)
  return path === undefined ? undefined : resolve(folder, path)
}
