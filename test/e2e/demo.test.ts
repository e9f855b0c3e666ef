import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

/** `fluxctl demo` where something is missing, or asked for in vain. */

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** A folder with programs that do nothing but say so. */
function folderOf(names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  folders.push(folder)
  for (const name of names)
    writeFileSync(join(folder, name), '#!/bin/sh\necho out of order >&2\nexit 1\n', { mode: 0o755 })
  return folder
}

const all = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok']

function demo(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'src/cli/main.ts', 'demo', ...args],
    { env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env }, encoding: 'utf8' },
  )
  return { status, stdout, stderr }
}

test('says what is missing, and how to get it, where there is no control plane', () => {
  const { status, stdout, stderr } = demo([])

  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(
    /^Error: the demo needs a Kubernetes control plane, and KUBEBUILDER_ASSETS does not say/,
  )
  expect(stderr).toContain('setup-envtest use -p path')
  expect(stderr).not.toMatch(/^ +at /m)
})

test('names the programs that a folder lacks', () => {
  const folder = folderOf(['etcd', 'kube-apiserver'])

  const { status, stderr } = demo([], { KUBEBUILDER_ASSETS: folder })

  expect(status).toBe(1)
  expect(stderr).toContain(`${folder} lacks kube-controller-manager, kube-scheduler, kwok\n`)
})

test('says that Git is missing', () => {
  const { status, stderr } = demo([], { KUBEBUILDER_ASSETS: folderOf(all), PATH: folderOf([]) })

  expect(status).toBe(1)
  expect(stderr).toMatch(/^Error: the demo needs the program git, which is not on the PATH\n/)
})

test('says in a few words that a control plane does not start', () => {
  const { status, stderr } = demo([], { KUBEBUILDER_ASSETS: folderOf(all) })

  expect(status).toBe(1)
  expect(stderr).toMatch(/^Error: the demo can not go on\n/)
  expect(stderr).toContain('out of order')
  expect(stderr).not.toMatch(/^ +at /m)
})

test.each([
  { args: ['--colour'], error: 'unknown flag: --colour' },
  {
    args: ['--url=http://127.0.0.1:3030'],
    error: '--url has no meaning here: the demo has a world of its own',
  },
  { args: ['now'], error: 'expected no (non-flag) arguments' },
])('refuses $args', ({ args, error }) => {
  const { status, stderr } = demo(args)

  expect(status).toBe(1)
  expect(stderr).toMatch(new RegExp(`^Error: ${error.replace(/[()]/g, '\\$&')}\n`))
})
