import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { chancesFrom } from '../../soak/random.ts'
import { test as base } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { helm } from '../../support/neighbours.ts'
import { eventually } from '../../support/programs.ts'
import { gitChart, helmWorld } from './world.ts'

const test = base.skipIf(helm('4.2') === undefined)
/** The long soak has 100. */
const kills = Number(process.env['FLUXCTL_HELM_KILLS'] ?? 6)
const names = ['first', 'second', 'third']
const password = 's3cr3t-"pass\\word"-ünder'
const chart = (text: string) => ({
  'charts/app/Chart.yaml': 'apiVersion: v2\nname: app\nversion: 1.0.0\n',
  'charts/app/values.yaml': `text: ${text}\n`,
  'charts/app/templates/config.yaml': [
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata: {name: "{{ .Release.Name }}"}',
    'data: {text: "{{ .Values.text }} {{ .Values.own }}"}',
    '---',
    'apiVersion: v1',
    'kind: Secret',
    'metadata: {name: "{{ .Release.Name }}"}',
    'stringData: {password: {{ .Values.password | quote }}}',
    '',
  ].join('\n'),
})

test('an operator that is killed again and again ends as Git says, and spills no secret', {
  timeout: 120_000 + kills * 20_000,
}, async ({ plane, namespace }) => {
  const seed = Number(process.env['FLUXCTL_HELM_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  const chances = chancesFrom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'killed-operator-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  await using world = await helmWorld(plane, namespace, { files: chart('0'), env: { TMPDIR: folder } })
  await request(plane, 'POST', `/api/v1/namespaces/${namespace}/secrets`, {
    metadata: { name: 'auth' },
    stringData: { 'values.yaml': JSON.stringify({ password }) },
  })
  const wanted = new Map(names.map((name) => [name, 0]))
  let text = 0
  for (const name of names) {
    await world.apply(name, {
      chart: gitChart(world.upstream, 'charts/app'),
      releaseName: name,
      valuesFrom: [{ secretKeyRef: { name: 'auth' } }],
      values: { own: 0 },
    })
  }

  const said: string[] = []
  let changes = 0
  for (let round = 1; round <= kills; round++) {
    await delay(chances.between(0, 2_500))
    if (chances.percent(30)) {
      text = round
      changes += names.length
      await world.upstream.commit(chart(String(round)))
    } else {
      const name = chances.pick(names)
      wanted.set(name, round)
      changes++
      await world.apply(name, { values: { own: round } })
    }
    await delay(chances.between(0, 1_500))
    await world.operator.end('SIGKILL')
    said.push(...world.operator.log)
    await world.restart('SIGKILL')
  }

  for (const name of names) {
    const at = `/api/v1/namespaces/${namespace}/configmaps/${name}`
    const expected = `${text} ${wanted.get(name)}`
    await eventually(
      async () => valueAt(await world.object(at), 'data', 'text') === expected,
      `${name}, seed ${seed}`,
    )
    await world.until(name, `${name} released, seed ${seed}`, (seen) => {
      return seen.phase === 'Succeeded' && seen.status.observedGeneration === seen.generation
    })
    expect((await world.history(name)).at(-1)).toMatch(/^deployed (Install|Upgrade) complete$/)
  }
  const { body } = await request(
    plane,
    'GET',
    `/api/v1/namespaces/${namespace}/secrets?labelSelector=owner%3Dhelm`,
  )
  const revisions = (body as { items: { metadata: { labels: Record<string, string> } }[] }).items.map(
    ({ metadata: { labels } }) => Number(labels['version']),
  )
  // one for each installation and change, and for each interruption what undoes and repeats it
  expect(revisions.reduce((a, b) => Math.max(a, b), 0)).toBeLessThanOrEqual(1 + changes + 2 * kills)

  const events = await Promise.all(names.map((name) => world.events(name)))
  const resources = await Promise.all(names.map((name) => world.get(name)))
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
  const texts = [
    ...said,
    ...world.operator.log,
    ...events.flat(),
    JSON.stringify(resources),
    processes,
    ...filesBelow(folder),
  ]
  const forms = [
    password,
    Buffer.from(password).toString('base64'),
    JSON.stringify(password).slice(1, -1),
    's3cr3t-',
  ]
  for (const form of forms) expect(texts.filter((one) => one.includes(form))).toEqual([])
})

/** The content of every file that is left, as far as it is text. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => {
      try {
        return [readFileSync(join(entry.parentPath, entry.name), 'latin1')]
      } catch {
        return [] // gone meanwhile
      }
    })
}
