import { expect, test } from 'vitest'
import { type HelmRelease, readHelmRelease } from '../../src/core/helm/resource.ts'
import type { JsonObject, JsonValue } from '../../src/core/json.ts'
import { valueAt } from '../../src/core/json.ts'
import { createStatusWriter, type StatusWriterOptions } from '../../src/operator/status.ts'
import { quickClock } from '../support/cli.ts'

const object: JsonObject = {
  apiVersion: 'helm.fluxcd.io/v1',
  kind: 'HelmRelease',
  metadata: { name: 'podinfo', namespace: 'dev', uid: 'u1', generation: 1 },
  spec: {},
}
const release = readHelmRelease(object) as HelmRelease

/** A writer whose patches are answered when the test says so. */
function writer() {
  const status: Record<string, JsonValue> = {}
  const open: { patch: JsonObject; answer(): void; refuse(): void }[] = []
  const cluster = {
    patch: (_: unknown, patch: JsonObject) =>
      new Promise<JsonObject>((resolve, reject) => {
        open.push({
          patch,
          answer() {
            Object.assign(status, valueAt(patch, 'status'))
            resolve({ ...object, status: { ...status } })
          },
          refuse: () => reject(new Error('gone')),
        })
      }),
  }
  const log = { write() {}, with: () => log }
  const options = {
    cluster,
    view: { put: () => undefined },
    metrics: { setConditions() {} },
    clock: quickClock(),
    log,
  } as unknown as StatusWriterOptions
  return { writer: createStatusWriter(options), status, open }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a later word never reaches the server before an earlier one', async () => {
  const { writer: of, status, open } = writer()

  of.showRelease(release, 'pending-install')
  of.showRelease(release, 'deployed')
  await turn()
  expect(open).toHaveLength(1)
  open[0]?.answer()
  await turn()
  open[1]?.answer()
  await of.written(release)

  expect(status['releaseStatus']).toBe('deployed')
})

test('what is said while a write is on its way goes into one', async () => {
  const { writer: of, status, open } = writer()

  of.enter(release, 'Installing', { revision: 'abc' })
  of.enter(release, 'Deployed')
  of.enter(release, 'Succeeded', { revision: 'abc' })
  of.finish(release, undefined)
  of.showRelease(release, 'deployed')
  await turn()
  open[0]?.answer()
  await turn()
  open[1]?.answer()
  await of.written(release)

  expect(open).toHaveLength(2)
  expect(status).toMatchObject({ phase: 'Succeeded', observedGeneration: 1, releaseStatus: 'deployed' })
})

test.each(Array.from({ length: 12 }, (_, turns) => turns))(
  'what is said %i turns after an answer is written as well',
  async (turns) => {
    const { writer: of, status, open } = writer()
    of.showRelease(release, 'pending-install')
    await turn()
    open[0]?.answer()
    for (let i = 0; i < turns; i++) await Promise.resolve()

    of.showRelease(release, 'deployed')
    await turn()
    open[1]?.answer()
    await of.written(release)

    expect(status['releaseStatus']).toBe('deployed')
  },
)

test('what a failed write should have said, the next one says', async () => {
  const { writer: of, status, open } = writer()

  of.enter(release, 'Installing', { revision: 'abc' })
  await turn()
  open[0]?.refuse()
  await of.written(release)
  of.showRelease(release, 'deployed')
  await turn()
  open[1]?.answer()
  await of.written(release)

  expect(status).toMatchObject({
    phase: 'Installing',
    lastAttemptedRevision: 'abc',
    releaseStatus: 'deployed',
  })
})

test('what is known already is not written again', async () => {
  const { writer: of, open } = writer()
  of.showRelease(release, 'deployed')
  await turn()
  open[0]?.answer()
  await of.written(release)

  of.showRelease(release, 'deployed')
  await of.written(release)

  expect(open).toHaveLength(1)
})
