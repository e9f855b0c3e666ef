import { expect, test } from 'vitest'
import { FluxError } from '../../src/core/errors.ts'
import { readHelmRelease } from '../../src/core/helm/resource.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { type ComposedValues, composeValues, type ValuesNeighbours } from '../../src/operator/values.ts'

const objects: Record<string, string> = {
  'ConfigMap flux/release-configmap values.yaml':
    'valuesDict: {same-namespace-configmap: true, configmap: true}\nimage: {tag: 1.0.0}',
  'Secret flux/release-secret values.yaml':
    'valuesDict: {same-namespace-secret: true, secret: true}\npassword: hunter2x',
  'ConfigMap other-namespace/release-configmap values.yaml': 'valuesDict: {cross-namespace-configmap: true}',
  'Secret other-namespace/release-secret values.yaml': 'valuesDict: {cross-namespace-secret: true}',
  'ConfigMap flux/broken values.yaml': 'a: hunter2x: b',
}
const neighbours: ValuesNeighbours = {
  async readKey(kind, ref, key) {
    if (ref.name === 'forbidden') throw new FluxError('CLUSTER_FORBIDDEN', { what: 'forbidden' })
    return objects[`${kind} ${ref.namespace}/${ref.name} ${key}`]
  },
  async fetchUrl(url) {
    if (url.endsWith('/404'))
      throw new FluxError('HELM_VALUES_MISSING', { what: `unable to read value file from URL ${url}` })
    return 'from: url'
  },
  async readChartFile(_, __, path) {
    if (path.startsWith('..')) throw new FluxError('CHART_PATH_ESCAPES', { what: 'out' })
    return `from: ${path}`
  },
}

const git = { git: 'https://example.com/x', path: 'charts/app' }
async function compose(spec: JsonObject) {
  const release = readHelmRelease({
    metadata: { name: 'r', namespace: 'flux' },
    spec: { chart: git, ...spec },
  })
  if (!release) throw new Error('not read')
  return composeValues(release, { revision: 'abc', identity: 'x' }, neighbours)
}

const configMap = (more = {}) => ({ configMapKeyRef: { name: 'release-configmap', ...more } })
const secret = (more = {}) => ({ secretKeyRef: { name: 'release-secret', ...more } })
const other = { namespace: 'other-namespace' }

test('sources are merged in their order, and the resource’s own values win', async () => {
  const { values } = await compose({
    valuesFrom: [configMap(), secret(), configMap(other), secret(other)],
    values: { image: { tag: '1.1.1' }, valuesDict: { chart: true } },
  })

  expect(values).toEqual({
    valuesDict: {
      'same-namespace-configmap': true,
      'same-namespace-secret': true,
      'cross-namespace-configmap': true,
      'cross-namespace-secret': true,
      configmap: true,
      secret: true,
      chart: true,
    },
    image: { tag: '1.1.1' },
    password: 'hunter2x',
  })
})

test('what says the same again is not put together anew, and what says something else is', async () => {
  const release = readHelmRelease({
    metadata: { name: 'r', namespace: 'flux' },
    spec: { chart: git, valuesFrom: [configMap({ optional: true }), { chartFileRef: { path: 'x.yaml' } }] },
  })
  if (!release) throw new Error('not read')
  let text: string | undefined = 'a: 1'
  let filesRead = 0
  const changing: ValuesNeighbours = {
    ...neighbours,
    readKey: async () => text,
    async readChartFile() {
      filesRead++
      return 'file: 1'
    },
  }
  const again = (before?: ComposedValues) =>
    composeValues(release, { revision: 'abc', identity: 'x' }, changing, before)

  const first = await again()
  const second = await again(first)
  expect(second).toBe(first)
  expect(filesRead).toBe(1)

  text = 'a: 2'
  const changed = await again(second)
  expect(changed.values).toEqual({ a: 2, file: 1 })
  text = 'a: b: c'
  const broken = await again(changed)
  expect(broken.values).toEqual({ file: 1 })
  expect(await again(broken)).toBe(broken)
  text = undefined
  expect((await again(changed)).values).toEqual({ file: 1 })
  text = 'a: 1'
  expect((await again(broken)).values).toEqual({ a: 1, file: 1 })
})

test('texts of Secrets are known in every form that could be shown', async () => {
  const { secrets } = await compose({
    valueFileSecrets: [{ name: 'release-secret' }],
    valuesFrom: [configMap()],
  })

  expect(secrets).toContain('hunter2x')
  expect(secrets).toContain(Buffer.from('hunter2x').toString('base64'))
  expect(secrets).not.toContain('1.0.0')
})

test.each<[string, JsonObject, string]>([
  [
    'an object that is missing',
    configMap({ name: 'none' }),
    'could not find key values.yaml in ConfigMap flux/none',
  ],
  ['a key that is missing', secret({ key: 'k' }), 'could not find key k in Secret flux/release-secret'],
  [
    'YAML that is broken, which is never quoted',
    configMap({ name: 'broken' }),
    'unable to yaml.Unmarshal from values.yaml in ConfigMap flux/broken: line 1, column 12: not valid YAML',
  ],
  [
    'a URL',
    { externalSourceRef: { url: 'https://x/404' } },
    'unable to read value file from URL https://x/404',
  ],
])('%s stops the release, unless it is optional', async (_, source, text) => {
  const optional = Object.fromEntries(
    Object.entries(source).map(([member, value]) => [member, { ...(value as JsonObject), optional: true }]),
  )

  await expect(compose({ valuesFrom: [source] })).rejects.toThrow(text)
  expect((await compose({ valuesFrom: [optional], values: { a: 1 } })).values).toEqual({ a: 1 })
})

test('rights and ways out of the repository are never forgiven', async () => {
  await expect(compose({ valuesFrom: [configMap({ name: 'forbidden', optional: true })] })).rejects.toThrow(
    'forbidden',
  )
  await expect(
    compose({ valuesFrom: [{ chartFileRef: { path: '../../x', optional: true } }] }),
  ).rejects.toThrow('out')
})

test('files beside a chart are for charts in Git', async () => {
  const file = { chartFileRef: { path: 'dev.yaml' } }

  expect((await compose({ valuesFrom: [file] })).values).toEqual({ from: 'dev.yaml' })
  const repository = { repository: 'https://x', name: 'app', version: '1.0.0' }
  await expect(compose({ chart: repository, valuesFrom: [file] })).rejects.toThrow(
    'unable to read value file from path dev.yaml',
  )
})
