import { FluxError } from '../core/errors.ts'
import type { GitChart, ObjectRef } from '../core/helm/chart.ts'
import type { HelmRelease, ValueSource } from '../core/helm/resource.ts'
import { leafTexts, mergeValues, parseValues } from '../core/helm/values.ts'
import type { JsonObject } from '../core/json.ts'
import type { ChartHead } from '../ports/helm.ts'

/**
 * The values of a release, read from where it says and put together. What came from a Secret is told apart, so that it
 * can be kept out of every message.
 */

export interface ComposedValues {
  values: JsonObject
  /** texts from Secrets that must not be shown */
  secrets: readonly string[]
  /** what each source said, in their order */
  read: readonly SourceValues[]
}

interface SourceValues {
  /** empty where it is missing, and may be */
  text: string
  values: JsonObject
}

export interface ValuesNeighbours {
  /** The text at a key; `undefined` where the object or the key is missing, with what v1 says of it. */
  readKey(kind: 'ConfigMap' | 'Secret', ref: ObjectRef, key: string): Promise<string | undefined>
  /** @throws FluxError */
  fetchUrl(url: string, signal?: AbortSignal): Promise<string>
  /** @throws FluxError `HELM_VALUES_MISSING` | `CHART_PATH_ESCAPES` */
  readChartFile(source: GitChart, head: ChartHead, path: string): Promise<string>
}

/** Shorter ones stand in half of all texts. */
const shortestSecret = 4

/**
 * @param before what was composed of this very resource and head the last time: returned where every source says the
 *   same again, for to parse and to merge is most of what a pass costs
 * @throws FluxError `HELM_VALUES_INVALID` | `HELM_VALUES_MISSING` | `CLUSTER_…` | `CHART_PATH_ESCAPES`
 */
export async function composeValues(
  release: HelmRelease,
  head: ChartHead,
  neighbours: ValuesNeighbours,
  before?: ComposedValues,
  signal?: AbortSignal,
): Promise<ComposedValues> {
  const read: SourceValues[] = []
  for (const [index, source] of release.valueSources.entries()) {
    read.push(await readSource(release, head, source, neighbours, before?.read[index], signal))
  }
  if (before && read.every((said, index) => said === before.read[index])) return before

  let values: JsonObject = {}
  const secrets = new Set<string>()
  for (const [index, source] of release.valueSources.entries()) {
    const said = read[index]?.values ?? {}
    values = mergeValues(values, said)
    if (source.kind !== 'Secret') continue
    for (const text of leafTexts(said)) {
      if (text.length < shortestSecret) continue
      secrets.add(text)
      secrets.add(Buffer.from(text).toString('base64'))
      secrets.add(JSON.stringify(text).slice(1, -1))
    }
  }
  return { values: mergeValues(values, release.values), secrets: [...secrets], read }
}

/** What one source says; nothing where it is missing or broken, and may be. */
async function readSource(
  release: HelmRelease,
  head: ChartHead,
  source: ValueSource,
  neighbours: ValuesNeighbours,
  before: SourceValues | undefined,
  signal: AbortSignal | undefined,
): Promise<SourceValues> {
  if (before && source.kind === 'chartFile') return before // a commit's files never change
  let text = ''
  try {
    const said = await fetchSource(release, head, source, neighbours, signal)
    text = said.text
    return text === before?.text ? before : { text, values: parseValues(text, said.where) }
  } catch (error) {
    const forgivable = ['HELM_VALUES_INVALID', 'HELM_VALUES_MISSING']
    if (!source.optional || !(error instanceof FluxError) || !forgivable.includes(error.code)) throw error
    return text === before?.text ? before : { text, values: {} }
  }
}

async function fetchSource(
  { chart }: HelmRelease,
  head: ChartHead,
  source: ValueSource,
  { readKey, fetchUrl, readChartFile }: ValuesNeighbours,
  signal: AbortSignal | undefined,
): Promise<{ text: string; where: string }> {
  switch (source.kind) {
    case 'ConfigMap':
    case 'Secret': {
      const { kind, ref, key } = source
      const where = `${key} in ${kind} ${ref.namespace}/${ref.name}`
      const text = await readKey(kind, ref, key)
      if (text !== undefined) return { text, where }
      throw new FluxError('HELM_VALUES_MISSING', {
        what: `could not find key ${where}`,
        next: 'Create it: it is read again as soon as it is there.',
      })
    }
    case 'url':
      return { text: await fetchUrl(source.url, signal), where: `URL ${source.url.split('?')[0]}` }
    case 'chartFile': {
      if (chart?.kind === 'git') {
        return { text: await readChartFile(chart, head, source.path), where: `path ${source.path}` }
      }
      throw new FluxError('HELM_VALUES_MISSING', {
        what: `unable to read value file from path ${source.path}`,
        why: 'A chart of a repository is one archive; files are read beside charts in Git only.',
      })
    }
  }
}
