import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ImageInfo } from '../../src/core/image/info.ts'
import { formatImageRef, type ImageRef, imageName, parseImageRef } from '../../src/core/image/ref.ts'
import {
  containerFields,
  type ListedContainer,
  listImages,
  listWorkload,
  readContainerFields,
  type WorkloadFacts,
} from '../../src/core/listing.ts'
import { parseResourceId } from '../../src/core/resource/id.ts'

const id = parseResourceId('default:deployment/app')
const workloadOf = (imageText: string) => ({
  id,
  containers: [{ name: 'app', image: parseImageRef(imageText), imageText, init: false }],
})
const image = (text: string, createdAt?: string): ImageInfo => ({
  ref: parseImageRef(text),
  labels: {},
  digest: 'sha256:1',
  ...(createdAt && { createdAt: new Date(createdAt) }),
})
const known = (images: readonly ImageInfo[]) => (like: ImageRef) => {
  const found = images.filter(({ ref }) => imageName(ref) === imageName(like))
  return found.length > 0 ? found : undefined
}

function listOne(
  runs: string,
  images: readonly ImageInfo[],
  { pattern, fields = [] }: { pattern?: string; fields?: readonly string[] } = {},
): ListedContainer | undefined {
  const policies = new Map(pattern ? [['tag.app', pattern]] : [])
  return listImages(workloadOf(runs), policies, known(images), readContainerFields(fields)).containers[0]
}
const tagsOf = (container: ListedContainer | undefined) => container?.available?.map(({ ref }) => ref?.tag)
const countsOf = (container: ListedContainer | undefined) => [
  container?.availableCount,
  container?.newAvailableCount,
  container?.filteredCount,
  container?.newFilteredCount,
]

const three = [
  image('x/app:old', '2020-01-01T00:00:00Z'),
  image('x/app:current', '2020-01-02T00:00:00Z'),
  image('x/app:new', '2020-01-03T00:00:00Z'),
]

describe('images of a container', () => {
  test('come newest first, with what is newer counted', () => {
    const container = listOne('x/app:current', three)

    expect(tagsOf(container)).toEqual(['new', 'current', 'old'])
    expect(countsOf(container)).toEqual([3, 1, 3, 1])
    expect(container?.latestFiltered).toEqual({
      ref: parseImageRef('x/app:new'),
      digest: 'sha256:1',
      labels: {},
      createdAt: '2020-01-03T00:00:00Z',
    })
    expect(container?.current.ref?.tag).toBe('current')
  })

  test('where there is only latest, it is available and does not pass the filter', () => {
    const container = listOne('x/app:latest', [image('x/app:latest', '2020-01-01T00:00:00Z')])

    expect(tagsOf(container)).toEqual(['latest'])
    expect(countsOf(container)).toEqual([1, 0, 0, 0])
    expect(container?.latestFiltered).toEqual({ labels: {} })
  })

  test('come in the order of their pattern', () => {
    const images = ['x/app:1.0.0', 'x/app:1.2.3', 'x/app:0.9.0', 'x/app'].map((text) => image(text))

    const container = listOne('x/app:1.0.0', images, { pattern: 'semver:*' })

    expect(tagsOf(container)).toEqual(['1.2.3', '1.0.0', '0.9.0', undefined])
    expect(countsOf(container)).toEqual([4, 1, 3, 1])
  })

  test('are all newer than one that the registry does not have', () => {
    const container = listOne('x/app:gone', three)

    expect(container?.current).toEqual({ labels: {} })
    expect(countsOf(container)).toEqual([3, 3, 3, 3])
  })

  test('are not there where nothing is known of the repository', () => {
    const container = listOne('y/other:1', three)

    expect(container).toMatchObject({
      available: [],
      availableError: '',
      availableCount: 0,
      current: { labels: {} },
    })
  })

  test('whose age is not known yet are named, with a word on that', () => {
    const nameOnly = { ref: parseImageRef('x/app:just-pushed'), labels: {} }

    const container = listOne('x/app:current', [...three, nameOnly])

    expect(tagsOf(container)).toContain('just-pushed')
    expect(container?.availableError).toBe('creation times of 1 of 4 images are not known yet')
  })

  test('take the spelling that the container uses', () => {
    const container = listImages(
      workloadOf('docker.io/x/app:current'),
      undefined,
      () => three,
      readContainerFields([]),
    ).containers[0]

    expect(container?.available?.map(({ ref }) => ref && formatImageRef(ref))).toEqual([
      'docker.io/x/app:new',
      'docker.io/x/app:current',
      'docker.io/x/app:old',
    ])
    expect(container?.newAvailableCount).toBe(1)
  })

  test('keep nanoseconds', () => {
    const exact = {
      ...image('x/app:1', '2020-01-01T00:00:00.123Z'),
      createdAtText: '2020-01-01T00:00:00.123456789Z',
    }

    expect(listOne('x/app:1', [exact])?.current.createdAt).toBe('2020-01-01T00:00:00.123456789Z')
  })
})

describe('fields', () => {
  test('are left empty where they were not asked for', () => {
    const container = listOne('x/app:current', three, {
      fields: ['Name', 'Current', 'NewAvailableImagesCount'],
    })

    expect(container).toEqual({
      name: 'app',
      current: {
        ref: parseImageRef('x/app:current'),
        digest: 'sha256:1',
        labels: {},
        createdAt: '2020-01-02T00:00:00Z',
      },
      latestFiltered: { labels: {} },
      availableError: '',
      availableCount: 0,
      newAvailableCount: 1,
      filteredCount: 0,
      newFilteredCount: 0,
    })
  })

  test('come to the same in whatever order they are asked for', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...containerFields], { minLength: 1 }), (fields) => {
        const sorted = listOne('x/app:current', three, { fields: fields.toSorted() })

        expect(listOne('x/app:current', three, { fields })).toEqual(sorted)
      }),
    )
  })

  test('that are none are refused', () => {
    expect(() => readContainerFields(['Name', 'Bogus'])).toThrow('Bogus is an invalid field')
  })
})

describe('a workload', () => {
  const facts: WorkloadFacts = {
    workload: workloadOf('x/app:1'),
    status: 'ready',
    rollout: { desired: 1, updated: 1, ready: 1, available: 1, outdated: 0, messages: [] },
    labels: { app: 'x' },
    syncError: '',
    policies: new Map([
      ['automated', 'true'],
      ['locked', 'yes'],
    ]),
    missing: 'NotInRepo',
    readonly: false,
  }

  test('shows its containers and the policies that Git has', () => {
    expect(listWorkload(facts)).toMatchObject({
      id,
      containers: [{ name: 'app', current: { ref: { tag: '1' } } }],
      readOnly: '',
      automated: true,
      locked: false,
      ignore: false,
      policies: facts.policies,
    })
  })

  test.each([
    { policies: undefined, missing: 'NotInRepo', readonly: false, readOnly: 'NotInRepo' },
    { policies: undefined, missing: 'NotReady', readonly: false, readOnly: 'NotReady' },
    { policies: new Map(), missing: 'NotInRepo', readonly: true, readOnly: 'ReadOnlyMode' },
    { policies: undefined, missing: 'NotInRepo', readonly: true, readOnly: 'NotInRepo' },
    { policies: undefined, missing: 'NotReady', readonly: true, readOnly: 'NotReady' },
  ] as const)(
    'that fluxd cannot change says why: $readOnly, where read-only is $readonly',
    ({ readOnly, ...state }) => {
      expect(listWorkload({ ...facts, ...state }).readOnly).toBe(readOnly)
    },
  )
})
