import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { helmOperatorToTheEnd } from '../support/programs.ts'

/** Starts of the Helm operator that end at once: no API server is needed. */

test.each([
  { args: ['--version'], exit: 0, stdout: /^\S+\n$/, stderr: /^$/ },
  { args: ['--help'], exit: 0, stdout: /--charts-sync-interval/, stderr: /^$/ },
  { args: ['--wrokers=2'], exit: 2, stdout: /^$/, stderr: /^Error: .*wrokers/ },
  { args: ['--enabled-helm-versions=v2'], exit: 1, stdout: /^$/, stderr: /^Error: .* does not name v3/ },
  { args: [], exit: 1, stdout: /^$/, stderr: /code=KUBECONFIG_MISSING/ },
])('helm-operator $args ends with $exit', async ({ args, exit, stdout, stderr }) => {
  const run = await helmOperatorToTheEnd({ args })

  expect(run).toEqual({
    exit,
    stdout: expect.stringMatching(stdout),
    stderr: expect.stringMatching(stderr),
  })
  expect(run.stderr).not.toMatch(/^ +at /m)
})

test('without a folder for charts the operator says so and ends with 1', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'operator-'))
  const kubeconfig = join(folder, 'kubeconfig')
  const server = 'https://127.0.0.1:1'
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      clusters: [{ name: 'c', cluster: { server } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
      users: [{ name: 'c', user: { token: 't' } }],
    }),
  )

  const run = await helmOperatorToTheEnd({ args: [], kubeconfig, env: { TMPDIR: kubeconfig } })

  expect(run.exit).toBe(1)
  expect(run.stderr).toMatch(/code=FOLDER_UNUSABLE/)
})
