import { spawn } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

/** A checkout with an npm and a rolldown that only write down that they ran. */
function checkout({ rolldown = '' } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'setup-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  cpSync('scripts/setup.mjs', join(root, 'scripts/setup.mjs'))
  write('package.json', '{}')
  write('package-lock.json', '{}')
  write('rolldown.config.ts', '')
  write('src/main.ts', '')
  write('calls', '')
  write(
    'npm-cli.js',
    `const { appendFileSync, copyFileSync, mkdirSync } = require('node:fs')
     appendFileSync('calls', ['npm', ...process.argv.slice(2)].join(' ') + '\\n')
     mkdirSync('node_modules/rolldown/bin', { recursive: true })
     copyFileSync('rolldown.mjs', 'node_modules/rolldown/bin/cli.mjs')`,
  )
  write(
    'rolldown.mjs',
    `import { appendFileSync, mkdirSync } from 'node:fs'
     appendFileSync('calls', 'rolldown\\n')
     mkdirSync('dist', { recursive: true })
     ${rolldown}`,
  )

  const setup = () =>
    new Promise<{ exit: number | null; talk: string }>((resolve) => {
      const child = spawn(process.execPath, ['scripts/setup.mjs'], {
        cwd: root,
        env: { npm_execpath: join(root, 'npm-cli.js') },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let talk = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (talk += chunk))
      child.once('close', (exit) => resolve({ exit, talk }))
    })
  const calls = () => readFileSync(join(root, 'calls'), 'utf8').trimEnd().split('\n')
  return { root, write, setup, calls }
}

const install = 'npm ci --include=dev --ignore-scripts'

test('installs and builds in a fresh checkout, and has nothing to do or say after', async () => {
  const { setup, calls } = checkout()

  const first = await setup()
  const second = await setup()

  expect(first).toEqual({ exit: 0, talk: 'setup: installing packages\nsetup: building\n' })
  expect(second).toEqual({ exit: 0, talk: '' })
  expect(calls()).toEqual([install, 'rolldown'])
})

test('builds again when a source has changed, gone or come, and installs nothing', async () => {
  const { root, setup, calls, write } = checkout()
  await setup()
  const later = () => new Date(Date.now() + 5000)

  write('src/main.ts', 'changed')
  utimesSync(join(root, 'src/main.ts'), later(), later())
  await setup()
  expect(calls()).toEqual([install, 'rolldown', 'rolldown'])

  utimesSync(join(root, 'src/main.ts'), 0, 0)
  utimesSync(join(root, 'src'), later(), later())
  await setup()
  expect(calls()).toEqual([install, 'rolldown', 'rolldown', 'rolldown'])
})

test('installs again when the lock file has changed', async () => {
  const { setup, calls, write } = checkout()
  await setup()

  write('package-lock.json', '{"changed":true}')
  await setup()

  expect(calls().filter((call) => call === install)).toHaveLength(2)
})

test('a build that failed is told, leaves no lock, and is tried again', async () => {
  const { root, setup, calls } = checkout({ rolldown: `console.log('no such import')\nprocess.exitCode = 3` })

  const first = await setup()
  await setup()

  expect(first.exit).toBe(1)
  expect(first.talk).toMatch(/no such import\nsetup: .*rolldown.* ended with 3\n$/)
  expect(readdirSync(join(root, '.cache'))).toEqual([])
  expect(calls()).toEqual([install, 'rolldown', 'rolldown'])
})

test('several at once do the work once', async () => {
  const { root, setup, calls } = checkout()

  const ends = await Promise.all(Array.from({ length: 5 }, setup))

  expect(ends.map(({ exit }) => exit)).toEqual([0, 0, 0, 0, 0])
  expect(calls()).toEqual([install, 'rolldown'])
  expect(readdirSync(join(root, '.cache'))).toEqual([])
})

test.each([
  { what: 'while it worked', holder: ['0000'] },
  { what: 'before it had put its name down', holder: [] },
])('takes over from a setup that died $what', async ({ holder }) => {
  const { root, setup, calls, write } = checkout()
  const lock = '.cache/setup.lock'
  mkdirSync(join(root, lock), { recursive: true })
  for (const name of holder) {
    write(`${lock}/${name}`, '')
    utimesSync(join(root, lock, name), 0, 0)
  }
  utimesSync(join(root, lock), 0, 0)

  const ends = await Promise.all([setup(), setup(), setup()])

  expect(ends.map(({ exit }) => exit)).toEqual([0, 0, 0])
  expect(calls()).toEqual([install, 'rolldown'])
})
