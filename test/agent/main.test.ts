import { expect, test } from 'vitest'
import { fluxdToTheEnd } from '../support/programs.ts'

/** Starts of fluxd that end at once: no API server is needed. */

test.each([
  { args: ['--version'], exit: 0, stdout: /^\S+\n$/, stderr: /^$/ },
  { args: ['--help'], exit: 0, stdout: /--git-url/, stderr: /^$/ },
  { args: ['--git-brunch=main'], exit: 2, stdout: /^$/, stderr: /^Error: .*git-brunch/ },
  { args: ['--git-path=/abs'], exit: 1, stdout: /^$/, stderr: /^Error: --git-path \/abs is absolute/ },
  { args: ['--sops'], exit: 1, stdout: /^$/, stderr: /^Error: --sops is not supported by this version/ },
  { args: [], exit: 1, stdout: /^$/, stderr: /code=KUBECONFIG_MISSING/ },
])('fluxd $args ends with $exit', async ({ args, exit, stdout, stderr }) => {
  const run = await fluxdToTheEnd({ args })

  expect(run).toEqual({
    exit,
    stdout: expect.stringMatching(stdout),
    stderr: expect.stringMatching(stderr),
  })
  expect(run.stderr).not.toMatch(/^ +at /m)
})
