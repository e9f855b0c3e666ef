import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/store/memory.ts'
import { createImageCatalog } from '../../src/agent/images.ts'
import { canonicalName, parseImageRef } from '../../src/core/image/ref.ts'
import { parsePattern } from '../../src/core/policy/pattern.ts'
import { chooseImage } from '../../src/core/update/images.ts'
import { manualClock } from '../support/clock.ts'

const like = parseImageRef('example/app:1.0')
const name = canonicalName(like)
const tagNames = ['latest', 'main', 'v1.0', '1.0', '1.0.0', '1.1', '2.0.0-rc.1', '2.0.0']
const patterns = ['glob:*', 'glob:1.*', 'glob:latest', 'semver:*', 'semver:~1', 'regexp:^v?1', 'regexp:(']
const times = ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.000000001Z', '2024-01-02T00:00:00Z', '']

const step = fc.oneof(
  fc.record({ list: fc.subarray(tagNames) }),
  fc.record({ tag: fc.constantFrom(...tagNames), time: fc.nat(times.length - 1), label: fc.boolean() }),
  fc.record({ tag: fc.constantFrom(...tagNames) }),
)

test.each([[[]], [['*']]])(
  'what a pattern turns on leads to the same choice as all images do (labels: %j)',
  (useLabels) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const store = createMemoryStore()
        const catalog = createImageCatalog({
          store,
          disabled: false,
          scope: { include: [], exclude: [] },
          useLabels,
          clock: manualClock(),
          metrics: { observeImageLookup() {} },
        })
        store.setListing(name, tagNames, { listedAtMs: 1, pages: [] })
        for (const change of steps) {
          if ('list' in change) store.setListing(name, change.list, { listedAtMs: 1, pages: [] })
          else if ('time' in change) {
            const text = times[change.time] ?? ''
            const digest = `sha256:${change.time}${change.label}`
            store.setFacts(digest, {
              digest,
              labels: change.label ? { 'org.opencontainers.image.created': '2024-01-01T12:00:00Z' } : {},
              ...(text && { createdAt: new Date(text), createdAtText: text }),
            })
            store.setTag(name, change.tag, { digest, fetchedAtMs: 1, dueAtMs: 2 })
          } else store.setTag(name, change.tag, { problem: { code: 'X', message: 'no' } })
          const all = catalog.images(like) ?? []
          for (const pattern of patterns.map(parsePattern)) {
            const some = catalog.images(like, pattern) ?? []
            expect(chooseImage(some, pattern)).toEqual(chooseImage(all, pattern))
            expect(some.length).toBeLessThanOrEqual(2)
            expect(some.filter(({ ref }) => ref.tag === '1.0')).toEqual(
              all.filter(({ ref }) => ref.tag === '1.0'),
            )
          }
        }
      }),
    )
  },
)
