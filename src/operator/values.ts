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

/** @throws FluxError `HELM_VALUES_INVALID` | `HELM_VALUES_MISSING` | `CLUSTER_…` | `CHART_PATH_ESCAPES` */
export async function composeValues(
  release: HelmRelease,
  head: ChartHead,
  neighbours: ValuesNeighbours,
  signal?: AbortSignal,
): Promise<ComposedValues> {
  let values: JsonObject = {}
  const secrets = new Set<string>()
  for (const source of release.valueSources) {
    const read = await readSource(release, head, source, neighbours, signal)
    if (read === undefined) continue
    values = mergeValues(values, read)
    if (source.kind !== 'Secret') continue
    for (const text of leafTexts(read)) {
      if (text.length < shortestSecret) continue
      secrets.add(text)
      secrets.add(Buffer.from(text).toString('base64'))
      secrets.add(JSON.stringify(text).slice(1, -1))
    }
  }
  return { values: mergeValues(values, release.values), secrets: [...secrets] }
}

/** What one source says; `undefined` where it is missing or broken, and may be. */
async function readSource(
  release: HelmRelease,
  head: ChartHead,
  source: ValueSource,
  neighbours: ValuesNeighbours,
  signal: AbortSignal | undefined,
): Promise<JsonObject | undefined> {
  try {
    const { text, where } = await fetchSource(release, head, source, neighbours, signal)
    return parseValues(text, where)
  } catch (error) {
    const forgivable = ['HELM_VALUES_INVALID', 'HELM_VALUES_MISSING']
    if (source.optional && error instanceof FluxError && forgivable.includes(error.code)) return undefined
    throw error
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
