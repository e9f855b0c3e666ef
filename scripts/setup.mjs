// Makes a checkout ready to run: installs packages and builds, each only where something has changed since. Says
// nothing when there is nothing to do. Uses Node's own modules alone, for it runs before any package is there.
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, rmdir, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const installStamp = join(root, 'node_modules', '.fluxctl-setup')
const buildStamp = join(root, 'dist', '.built')
const lock = join(root, '.cache', 'setup.lock')
/** the holder of the lock touches it more often than this */
const staleMs = 15_000

try {
  if (needsInstall() || needsBuild()) {
    await withLock(async () => {
      if (needsInstall()) await install()
      if (needsBuild()) await build()
    })
  }
} catch (error) {
  say(error.message)
  process.exitCode = 1
}

/** What the packages in `node_modules` were chosen by. */
function installKey() {
  const lockfile = readFileSync(join(root, 'package-lock.json'))
  const [major] = process.versions.node.split('.')
  return `${createHash('sha256').update(lockfile).digest('hex')} node ${major}\n`
}

function needsInstall() {
  return !existsSync(installStamp) || readFileSync(installStamp, 'utf8') !== installKey()
}

async function install() {
  const key = installKey()
  say('installing packages')
  // the npm that runs us says where it is; otherwise the one on the PATH is asked
  const npm = process.env.npm_execpath
  const args = ['ci', '--include=dev', '--ignore-scripts']
  await (npm?.endsWith('.js') ? run(process.execPath, [npm, ...args]) : run('npm', args))
  writeFileSync(installStamp, key)
}

function needsBuild() {
  if (!existsSync(buildStamp)) return true
  const builtMs = statSync(buildStamp).mtimeMs
  const sources = ['src', 'package.json', 'package-lock.json', 'rolldown.config.ts']
  return sources.some((source) => newestMs(join(root, source)) > builtMs)
}

/** Of a folder, the newest of all in it; a folder itself is as new as the last file that came or went. */
function newestMs(path) {
  const { mtimeMs } = statSync(path)
  if (!statSync(path).isDirectory()) return mtimeMs
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

async function build() {
  const startedAt = new Date()
  say('building')
  const rolldown = join(root, 'node_modules', 'rolldown', 'bin', 'cli.mjs')
  await run(process.execPath, [rolldown, '--config', 'rolldown.config.ts'])
  // sources that change while the build runs are newer than its start
  writeFileSync(buildStamp, '')
  utimesSync(buildStamp, startedAt, startedAt)
}

/** Talk goes to standard error: standard output belongs to the program that is started after this one. */
function say(what) {
  process.stderr.write(`setup: ${what}\n`)
}

/** What the program says is shown only when it fails. */
function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(chunk))
    // interrupted, we end after the child has, and leave no lock behind
    const passOn = (signal) => child.kill(signal)
    process.once('SIGINT', passOn).once('SIGTERM', passOn)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      process.off('SIGINT', passOn).off('SIGTERM', passOn)
      if (code === 0) return resolve()
      process.stderr.write(Buffer.concat(said))
      reject(new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}`))
    })
  })
}

/**
 * One setup at a time in a checkout. The lock is a folder with one file, named by its holder, who touches it while at
 * work. A file that nobody touches any more belongs to a holder that has died: whoever removes it has the lock.
 */
async function withLock(work) {
  const mine = join(lock, randomUUID())
  await mkdir(dirname(lock), { recursive: true })
  for (let waited = 0; !(await tryLock(mine)); waited++) {
    if (waited === 10) say('waiting for another setup of this checkout')
    await sleep(200)
  }
  const touching = setInterval(() => utimesSync(mine, new Date(), new Date()), staleMs / 10)
  try {
    await work()
  } finally {
    clearInterval(touching)
    await unlink(mine)
    await rmdir(lock)
  }
}

async function tryLock(mine) {
  try {
    await mkdir(lock)
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    if (!(await removeStale())) return false
  }
  return succeeds(writeFile(mine, ''))
}

/** Of several who try, one succeeds. */
async function removeStale() {
  const [holder] = await readdir(lock).catch(() => [])
  const held = holder === undefined ? lock : join(lock, holder)
  const touched = await stat(held).catch(() => undefined)
  if (touched === undefined || Date.now() - touched.mtimeMs < staleMs) return false
  if (holder !== undefined) return succeeds(unlink(held))
  // its holder died before it wrote its file: the lock is free at the next try
  await succeeds(rmdir(lock))
  return false
}

function succeeds(attempt) {
  return attempt.then(
    () => true,
    () => false,
  )
}
