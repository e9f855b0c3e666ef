import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeOwnFolder } from '../../../src/adapters/system/own-folder.ts'

let parent: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'own-folder-test-'))
})
afterEach(() => rm(parent, { recursive: true, force: true }))

/** A process that makes its folder and stays. */
async function neighbour() {
  const code = `
    import { makeOwnFolder } from './src/adapters/system/own-folder.ts'
    import { writeFileSync } from 'node:fs'
    const { path } = await makeOwnFolder([process.argv[1]])
    writeFileSync(path + '/file', '')
    console.log(path)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code, parent], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [path] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    path: path.toString().trim(),
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

test('the folder of a process that was killed is removed by the next one', async () => {
  const dead = await neighbour()
  await dead.kill()
  expect(await readdir(parent)).toHaveLength(1)

  const own = await makeOwnFolder([parent])
  await expect.poll(() => readdir(parent)).toEqual([own?.path.slice(parent.length + 1)])
  await own?.remove()

  expect(await readdir(parent)).toEqual([])
})

test('the folder of a process that lives stays', async () => {
  const living = await neighbour()

  const own = await makeOwnFolder([parent])
  await own?.remove()
  const left = await readdir(parent)
  await living.kill()

  expect(left).toEqual([living.path.slice(parent.length + 1)])
})

test('a folder in the making stays, and one that was left in the making goes', async () => {
  await mkdir(join(parent, 'flux-run-young'))
  await mkdir(join(parent, 'flux-run-old'))
  await mkdir(join(parent, 'other'))
  await utimes(join(parent, 'flux-run-old'), 1_700_000_000, 1_700_000_000)

  const own = await makeOwnFolder([parent])
  await own?.remove()

  expect((await readdir(parent)).sort()).toEqual(['flux-run-young', 'other'])
})

test('takes the first place where there can be one', async () => {
  await writeFile(join(parent, 'file'), '')

  const own = await makeOwnFolder([join(parent, 'nosuch'), join(parent, 'file'), parent])
  const none = await makeOwnFolder([join(parent, 'nosuch')])

  expect(own?.path).toMatch(new RegExp(`^${parent}/flux-run-`))
  expect(none).toBeUndefined()
  await own?.remove()
})
