import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createHelm } from '../../../src/adapters/helm/run.ts'
import type { Helm, RollbackOptions, UpgradeOptions } from '../../../src/ports/helm.ts'
import { eventually } from '../../support/programs.ts'

interface FakeHelm {
  helm: Helm
  folder: string
  /** words of the last call, without the program's name */
  args(): string[]
  input(): string
  env(): string[]
}

/** A helm that writes down how it is called, and then does what the script says. */
async function fakeHelm(version: string, script = 'exit 0'): Promise<FakeHelm> {
  const folder = mkdtempSync(join(tmpdir(), 'fake-helm-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const program = join(folder, 'helm')
  writeFileSync(
    program,
    `#!/bin/sh
[ "$1" = version ] && echo ${version} && exit 0
for word; do [ "$word" = version ] && echo ${version} && exit 0; done
printf '%s\\n' "$@" > ${folder}/args
env > ${folder}/env
cat > ${folder}/input
${script}
`,
  )
  chmodSync(program, 0o755)
  const helm = await createHelm({
    program,
    folder: join(folder, 'home'),
    kubeconfigs: ['/a', '/b'],
    context: 'there',
    environment: { PATH: process.env['PATH'], SECRET_TOKEN: 'x', HTTPS_PROXY: 'proxy', HELM_DEBUG: '1' },
    concurrency: 2,
  })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  return {
    helm,
    folder,
    args: () => read('args').trimEnd().split('\n'),
    input: () => read('input'),
    env: () => read('env').trimEnd().split('\n'),
  }
}

const target = { name: 'r', namespace: 'n', timeoutMs: 90_500 }
const upgrade: UpgradeOptions = {
  ...target,
  chart: '/charts/app',
  values: { a: { b: 9007199254740993n } },
  labels: { 'helm.fluxcd.io/digest': 'd' },
  secrets: ['s3cret'],
  wait: false,
  disableOpenApiValidation: false,
  force: false,
  reuseValues: false,
  maxHistory: 10,
  serverSide: true,
}
const rollback: RollbackOptions = {
  ...target,
  revision: 3,
  maxHistory: 0,
  serverSide: true,
  wait: true,
  force: false,
  recreatePods: true,
  disableHooks: true,
}
const common = ['--kube-context=there', '--namespace=n', '--timeout=91s']

test.each(['v3.17.3', 'v4.2.3'])(
  '%s is called with values on its input, and no word can become a flag',
  async (version) => {
    const { helm, args, input, env } = await fakeHelm(version)

    await helm.upgrade({ ...upgrade, serverSide: false })

    expect(args()).toEqual([
      'upgrade',
      ...common,
      '--values=-',
      '--labels=helm.fluxcd.io/digest=d',
      '--reset-values',
      '--history-max=10',
      '--',
      'r',
      '/charts/app',
    ])
    expect(input()).toBe('{"a":{"b":9007199254740993}}')
    expect(env()).toContain('KUBECONFIG=/a:/b')
    expect(env()).toContain('HELM_DRIVER=secret')
    expect(env()).toContain('HTTPS_PROXY=proxy')
    expect(env().join('\n')).not.toMatch(/SECRET_TOKEN|HELM_DEBUG/)
  },
)

test.each<[string, string, (helm: Helm) => Promise<unknown>, string[]]>([
  ['v3.17.3', 'wait', (helm) => helm.upgrade({ ...upgrade, wait: true }), ['--wait']],
  [
    'v4.2.3',
    'wait',
    (helm) => helm.upgrade({ ...upgrade, wait: true }),
    ['--wait=watcher', '--force-conflicts'],
  ],
  ['v3.17.3', 'force', (helm) => helm.upgrade({ ...upgrade, force: true }), ['--force']],
  [
    'v4.2.3',
    'force',
    (helm) => helm.upgrade({ ...upgrade, force: true }),
    ['--force-replace', '--server-side=false'],
  ],
  ['v3.17.3', 'take back', (helm) => helm.upgrade(upgrade), []],
  ['v4.2.3', 'take back', (helm) => helm.upgrade(upgrade), ['--force-conflicts']],
  [
    'v3.17.3',
    'roll back',
    (helm) => helm.rollback(rollback),
    ['--history-max=1000000', '--wait', '--recreate-pods', '--no-hooks'],
  ],
  [
    'v4.2.3',
    'roll back',
    (helm) => helm.rollback(rollback),
    ['--history-max=1000000', '--wait=watcher', '--force-conflicts', '--no-hooks'],
  ],
])('%s: %s', async (version, _, call, expected) => {
  const { helm, args } = await fakeHelm(version)

  await call(helm)

  const usual = [
    ...common,
    '--values=-',
    '--labels=helm.fluxcd.io/digest=d',
    '--reset-values',
    '--history-max=10',
  ]
  const flags = args().filter((word) => word.startsWith('--') && word !== '--' && !usual.includes(word))
  expect(flags).toEqual(expected)
})

test('other accounts are acted for', async () => {
  const { helm, args } = await fakeHelm('v4.2.3')

  await helm.uninstall({ ...target, serviceAccount: 'n:deployer' })

  expect(args()).toContain('--kube-as-user=system:serviceaccount:n:deployer')
  expect(args()).toContain('--ignore-not-found')
})

test.each(['v2.17.0', 'v3.9.4', 'v5.0.0', 'nonsense'])('%s is refused', async (version) => {
  await expect(fakeHelm(version)).rejects.toThrow(`helm ${version} is not supported`)
})

test('a helm that is missing is told of', async () => {
  const missing = createHelm({
    program: '/nowhere/helm',
    folder: mkdtempSync(join(tmpdir(), 'fake-helm-')),
    kubeconfigs: [],
    context: undefined,
    environment: { PATH: process.env['PATH'] },
    concurrency: 1,
  })

  await expect(missing).rejects.toMatchObject({ code: 'HELM_PROGRAM_MISSING' })
})

test.each<[string, string, string]>([
  [
    'level=WARN msg="x"\nError: UPGRADE FAILED: "r" has no deployed releases',
    'HELM_FAILED',
    '"r" has no deployed releases',
  ],
  [
    'Error: kubernetes cluster unreachable: Get x',
    'CLUSTER_UNREACHABLE',
    'kubernetes cluster unreachable: Get x',
  ],
  [
    'Error: INSTALLATION FAILED: Kubernetes cluster unreachable: x',
    'CLUSTER_UNREACHABLE',
    'Kubernetes cluster unreachable: x',
  ],
  ['Error: bad value "s3cret" at https://u:p@h/x', 'HELM_FAILED', 'bad value "***" at https://h/x'],
  [
    'Error: found in Chart.yaml, but missing in charts/ directory: x',
    'CHART_INVALID',
    'found in Chart.yaml, but missing in charts/ directory: x',
  ],
  ['', 'HELM_FAILED', 'helm upgrade: exit status 1'],
])('what it says is told without secrets: %j', async (said, code, what) => {
  const { helm } = await fakeHelm('v4.2.3', `printf '%s' '${said}' >&2; exit 1`)

  await expect(helm.upgrade(upgrade)).rejects.toMatchObject({ code, what })
})

test('a dry run gives the release whole', async () => {
  const release = {
    config: { a: 1 },
    chart: {
      metadata: { name: 'app', version: '1.0.0' },
      values: { a: 0 },
      templates: [{ name: 't', data: 'eA==' }],
    },
    manifest: '---\n',
    apply_method: 'ssa',
  }
  const { helm, args } = await fakeHelm('v4.2.3', `printf %s '${JSON.stringify(release)}'`)

  expect(await helm.dryRunUpgrade(upgrade)).toEqual({
    config: { a: 1 },
    chart: {
      name: 'app',
      version: '1.0.0',
      appVersion: '',
      values: { a: 0 },
      templates: [{ name: 't', data: 'eA==' }],
    },
    manifest: '---\n',
    serverSide: true,
  })
  expect(args()).toContain('--dry-run=server')
})

test('told to end, it has time to say so', async () => {
  const { helm, folder } = await fakeHelm(
    'v4.2.3',
    `trap 'echo marked > ${'$'}0.marked; exit 1' TERM; touch $0.started; while :; do sleep 0.05; done`,
  )
  const stop = new AbortController()
  const ended = helm.upgrade(upgrade, stop.signal)
  await eventually(() => existsSync(join(folder, 'helm.started')))

  stop.abort(new Error('told'))

  await expect(ended).rejects.toThrow('told')
  expect(readFileSync(join(folder, 'helm.marked'), 'utf8')).toBe('marked\n')
})

test('killed, the operator takes its helm along', async () => {
  const { folder } = await fakeHelm('v4.2.3', 'echo $$ > $0.pid; exec sleep 60')
  const script = `
    import { createHelm } from './src/adapters/helm/run.ts'
    const helm = await createHelm({ program: '${folder}/helm', folder: '${folder}/home', kubeconfigs: [], context: undefined, environment: process.env, concurrency: 1 })
    await helm.uninstall({ name: 'r', namespace: 'n', timeoutMs: 60000 })
  `
  const operator = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    stdio: 'ignore',
  })
  const pid = await eventually(
    () => existsSync(join(folder, 'helm.pid')) && Number(readFileSync(join(folder, 'helm.pid'), 'utf8')),
  )

  operator.kill('SIGKILL')

  await eventually(() => {
    try {
      process.kill(pid, 0)
      return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
    } catch {
      return true
    }
  }, 'its end')
})
