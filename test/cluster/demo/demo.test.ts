import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test as plainTest } from 'vitest'
import { controlPlaneAssets } from '../../support/control-plane.ts'

/** The built programs (`npm test` builds them), started as a stranger would. */
const test = plainTest.skipIf(controlPlaneAssets() === undefined)

/** What would lead a child out of its world, if it saw it. */
const misleading = {
  HOME: '/nonexistent',
  KUBECONFIG: '/nonexistent/kubeconfig',
  KUBERNETES_SERVICE_HOST: 'production.example.com',
  FLUX_URL: 'http://production.example.com/api/flux',
  FLUX_FORWARD_NAMESPACE: 'production',
  FLUX_SERVICE_TOKEN: 'a-token-of-the-user',
  GIT_DIR: '/nonexistent/repository',
  GIT_SSH_COMMAND: 'false',
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'url.http://production.example.com/.insteadOf',
  GIT_CONFIG_VALUE_0: 'http://',
  HELM_KUBECONTEXT: 'production',
  http_proxy: 'http://production.example.com',
}

interface Demo {
  child: ChildProcess
  /** where it may leave things behind */
  folder: string
  /** Wait until it has said this. */
  said(text: string): Promise<void>
  ended(): Promise<{ code: number | null; stdout: string; stderr: string }>
}

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function startDemo(): Demo {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  folders.push(folder)
  const child = spawn(process.execPath, ['bin/fluxctl.cjs', 'demo'], {
    env: {
      ...misleading,
      PATH: process.env['PATH'],
      KUBEBUILDER_ASSETS: controlPlaneAssets(),
      TMPDIR: folder,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const closed = once(child, 'close')
  return {
    child,
    folder,
    said: (text) => expect.poll(() => stdout, { timeout: 60_000 }).toContain(text),
    async ended() {
      await closed
      return { code: child.exitCode, stdout, stderr }
    },
  }
}

/** Processes whose environment names a folder, as that of everything in a demo does. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder)
      } catch {
        return false // it ended, or is another user's
      }
    })
}

async function expectNothingLeft({ folder }: Demo): Promise<void> {
  const left = () => [...processesOf(folder), ...readdirSync(folder)]
  await expect.poll(left, { timeout: 10_000 }).toEqual([])
}

test('comes out well beside another one that is killed, and neither leaves anything behind', async () => {
  const demo = startDemo()
  const other = startDemo()

  await other.said('5/11')
  expect(processesOf(other.folder).length).toBeGreaterThan(5)
  other.child.kill('SIGKILL')
  const { code, stdout, stderr } = await demo.ended()

  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('All 11 steps came out as told')
  expect(stdout).toMatch(/^-.*podinfo:3\.1\.0 {2}# kept in step with the cluster\n\+.*podinfo:3\.1\.5 /m)
  expect(stdout, 'in a pipe there are no colours').not.toContain('\x1b')
  expect(stdout).not.toContain('production')
  await expectNothingLeft(demo)
  await expectNothingLeft(other)
}, 180_000)

test.each([
  { when: 'while its world starts', said: '1/11' },
  { when: 'in the midst of its story', said: '5/11' },
])(
  'leaves nothing behind when it is interrupted $when',
  async ({ said }) => {
    const demo = startDemo()

    await demo.said(said)
    demo.child.kill('SIGINT')
    const { code, stderr } = await demo.ended()

    expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
    await expectNothingLeft(demo)
  },
  120_000,
)
