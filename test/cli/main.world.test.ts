import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { mainOf } from '../support/programs.ts'

/** The program itself, as a process: what can't be seen from inside. */

const home = mkdtempSync(join(tmpdir(), 'fluxctl-home-'))

function start(argv: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [mainOf('fluxctl'), ...argv], {
    env: { PATH: process.env['PATH'], HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = async () => {
    const closed = once(child, 'close')
    const [stdout, stderr] = await Promise.all([text(child.stdout).catch(() => ''), text(child.stderr)])
    const [code, signal] = await closed
    return { code, signal, stdout, stderr }
  }
  return { child, ended }
}

async function listen(onRequest: () => string | undefined) {
  let asked: () => void = () => {}
  const firstRequest = new Promise<void>((resolve) => {
    asked = resolve
  })
  const server = createServer((_, response) => {
    const body = onRequest()
    if (body !== undefined) response.end(body)
    asked()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/flux`,
    firstRequest,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('says what is missing where there is no kubeconfig, without a stack', async () => {
  const { code, stdout, stderr } = await start(['list-workloads']).ended()

  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^Error: Could not load kubernetes configuration file: invalid configuration: /)
  expect(stderr).toContain(join(home, '.kube', 'config'))
  expect(stderr).not.toMatch(/^ +at /m)
})

test.each(['SIGINT', 'SIGTERM'] as const)('ends with 130 on %s', async (signal) => {
  await using server = await listen(() => undefined)
  const { child, ended } = start(['list-workloads', '-a', '--url', server.url])

  await server.firstRequest
  child.kill(signal)

  expect(await ended()).toMatchObject({ code: 130, signal: null, stderr: '' })
})

test('ends quietly when whoever reads its output has seen enough', async () => {
  await using server = await listen(() => 'null')
  const { child, ended } = start(['list-workloads', '-a', '--url', server.url])
  child.stdout.destroy()

  expect(await ended()).toMatchObject({ code: 141, stderr: '' })
})

test('takes its URL from the environment', async () => {
  await using server = await listen(() => 'null')

  expect(await start(['list-workloads', '-a', '-o', 'json'], { FLUX_URL: server.url }).ended()).toEqual({
    code: 0,
    signal: null,
    stdout: 'null\n',
    stderr: '',
  })
})
