import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { chartRepository, packChart } from '../../../src/playground/charts/repository.ts'
import { closedEnvironment } from '../../../src/playground/processes.ts'
import { startRegistry } from '../../../src/playground/registry/registry.ts'
import { helm, helmVersions } from '../../support/neighbours.ts'

const run = promisify(execFile)
const podinfo = {
  metadata: { name: 'podinfo', version: '0.2.1', appVersion: '3.1.0' },
  files: { 'values.yaml': 'greeting: hello\n', 'templates/config.yaml': configMap() },
}

function configMap(): string {
  return [
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata: {name: {{ .Release.Name }}}',
    'data: {greeting: {{ .Values.greeting }}}',
    '',
  ].join('\n')
}

test('lists its charts, and gives each with the digest that it lists', async () => {
  await using charts = await chartRepository({ charts: [podinfo] })
  const digest = charts.add({ ...podinfo, metadata: { ...podinfo.metadata, version: '0.3.0' } })

  const index = (await (await fetch(`${charts.url}/index.yaml`)).json()) as {
    entries: Record<string, { version: string; digest: string; urls: string[] }[]>
  }

  expect(index.entries['podinfo']?.map(({ version, urls }) => [version, ...urls])).toEqual([
    ['0.2.1', 'charts/podinfo-0.2.1.tgz'],
    ['0.3.0', 'charts/podinfo-0.3.0.tgz'],
  ])
  expect(index.entries['podinfo']?.[1]?.digest).toBe(digest)
  expect(packChart(podinfo)).toEqual(packChart(podinfo))
})

test('answers 304 to whoever knows it already, and anew once it has changed', async () => {
  await using charts = await chartRepository({ charts: [podinfo] })
  const ask = (etag = '') => fetch(`${charts.url}/index.yaml`, { headers: { 'if-none-match': etag } })
  const etag = (await ask()).headers.get('etag') ?? ''

  const again = await ask(etag)
  charts.remove('podinfo', '0.2.1')
  const changed = await ask(etag)

  expect([again.status, changed.status]).toEqual([304, 200])
})

test('asks for a password, and fails on cue', async () => {
  await using charts = await chartRepository({ charts: [podinfo], auth: { user: 'u', password: 'p' } })
  const statusWith = async (authorization: string) =>
    (await fetch(`${charts.url}/index.yaml`, { headers: { authorization } })).status
  const right = `Basic ${Buffer.from('u:p').toString('base64')}`

  expect(await statusWith('')).toBe(401)
  expect(await statusWith(right)).toBe(200)
  charts.fail(/index/, 503)
  expect(await statusWith(right)).toBe(503)
})

test('can give other bytes than its index promises', async () => {
  await using charts = await chartRepository({ charts: [podinfo] })

  charts.spoil('podinfo', '0.2.1', Buffer.from('spoiled'))

  expect(await (await fetch(`${charts.url}/charts/podinfo-0.2.1.tgz`)).text()).toBe('spoiled')
})

describe.each(helmVersions)('for helm %s', (version) => {
  const program = helm(version) ?? ''
  const testIfThere = test.skipIf(program === '')

  async function inHome<T>(use: (ask: (...args: string[]) => Promise<string>, home: string) => Promise<T>) {
    const home = await mkdtemp(join(tmpdir(), 'charts-test-'))
    const env = closedEnvironment(home)
    try {
      return await use(async (...args) => (await run(program, args, { env, cwd: home })).stdout, home)
    } finally {
      await rm(home, { recursive: true })
    }
  }

  testIfThere('a chart is found, fetched and rendered', async () => {
    await using charts = await chartRepository({ charts: [podinfo], auth: { user: 'u', password: 'p' } })

    const rendered = await inHome((ask) =>
      ask(
        'template',
        'web',
        'podinfo',
        '--repo',
        charts.url,
        '--username=u',
        '--password=p',
        '--version=~0.2',
      ),
    )

    expect(rendered).toContain('metadata: {name: web}')
  })

  testIfThere('a chart is pushed to the registry as an OCI artefact, and pulled from there', async () => {
    await using registry = await startRegistry()

    const pulled = await inHome(async (ask, home) => {
      await writeFile(join(home, 'podinfo-0.2.1.tgz'), packChart(podinfo))
      await ask('push', 'podinfo-0.2.1.tgz', `oci://${registry.host}/charts`, '--plain-http')
      await rm(join(home, 'podinfo-0.2.1.tgz'))
      await ask('pull', `oci://${registry.host}/charts/podinfo`, '--version=0.2.1', '--plain-http')
      return readFile(join(home, 'podinfo-0.2.1.tgz'))
    })

    expect(Buffer.from(packChart(podinfo)).equals(pulled)).toBe(true)
  })
})
