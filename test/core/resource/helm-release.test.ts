import { describe, expect, test } from 'vitest'
import type { JsonObject, JsonValue } from '../../../src/core/json.ts'
import { planHelmImage, readHelmContainers } from '../../../src/core/resource/helm-release.ts'

const release = (values: JsonValue, annotations?: JsonObject): JsonObject => ({
  kind: 'HelmRelease',
  metadata: { name: 'a', ...(annotations && { annotations }) },
  spec: { values },
})
const found = (values: JsonValue, annotations?: JsonObject) =>
  readHelmContainers(release(values, annotations)).map(({ name, imageText }) => [name, imageText])

describe('shapes', () => {
  test.each<{ map: JsonObject; image: string }>([
    { map: { image: 'r.io/i:t' }, image: 'r.io/i:t' },
    { map: { image: 'r.io/i', tag: 't' }, image: 'r.io/i:t' },
    { map: { registry: 'r.io', image: 'i', tag: 't' }, image: 'r.io/i:t' },
    { map: { registry: 'r.io', image: 'i:t' }, image: 'r.io/i:t' },
    { map: { image: { repository: 'r.io/i', tag: 't' } }, image: 'r.io/i:t' },
    { map: { image: { repository: 'r.io/i:t' } }, image: 'r.io/i:t' },
    { map: { image: { registry: 'r.io', repository: 'i', tag: 't' } }, image: 'r.io/i:t' },
    { map: { image: { registry: 'r.io', repository: 'i:t' } }, image: 'r.io/i:t' },
    { map: { image: { registry: 'r.io', repository: 'a/b/c', tag: 't' } }, image: 'r.io/a/b/c:t' },
    { map: { image: 'i', tag: 1.1 }, image: 'i' },
    { map: { image: 'i', tag: '', registry: '' }, image: 'i' },
  ])('$map is $image, at the top and below a key', ({ map, image }) => {
    expect(found(map)).toEqual([['chart-image', image]])
    expect(found({ app: map })).toEqual([['app', image]])
  })

  test.each<JsonObject>([
    { image: { tag: 't' } },
    { image: { repository: 1 } },
    { image: 1 },
    { image: 'r/i:t', tag: 'x' },
    { image: '' },
    { repository: 'r/i', tag: 't' },
    {},
  ])('%j is no image', (map) => {
    expect(found({ app: map })).toEqual([])
  })

  test('the one at the top comes first, the others by name', () => {
    expect(
      found({ z: { image: 'z:1' }, image: 'top:1', B: { image: 'b:1' }, a: { image: 'a:1' }, n: 1 }),
    ).toEqual([
      ['chart-image', 'top:1'],
      ['B', 'b:1'],
      ['a', 'a:1'],
      ['z', 'z:1'],
    ])
  })

  test.each<JsonValue>([null, 'text', ['a'], 1])('values of %j have no images', (values) => {
    expect(found(values)).toEqual([])
  })
})

describe('annotations that name paths', () => {
  const values: JsonObject = { deep: { host: 'r.io', image: { repo: 'org/i' }, version: 't', number: 1.1 } }

  test.each<{ annotations: JsonObject; image: string | undefined }>([
    { annotations: { 'repository.fluxcd.io/app': 'deep.image.repo' }, image: 'org/i' },
    {
      annotations: { 'repository.fluxcd.io/app': 'deep.image.repo', 'tag.fluxcd.io/app': 'deep.version' },
      image: 'org/i:t',
    },
    {
      annotations: { 'registry.fluxcd.io/app': 'deep.host', 'repository.fluxcd.io/app': 'deep.image.repo' },
      image: 'r.io/org/i',
    },
    {
      annotations: {
        'registry.fluxcd.io/app': 'deep.host',
        'repository.fluxcd.io/app': 'deep.image.repo',
        'tag.fluxcd.io/app': 'deep.version',
      },
      image: 'r.io/org/i:t',
    },
    { annotations: { 'tag.fluxcd.io/app': 'deep.version' }, image: undefined },
    {
      annotations: { 'repository.fluxcd.io/app': 'deep.image.repo', 'tag.fluxcd.io/app': 'deep.number' },
      image: undefined,
    },
    { annotations: { 'repository.fluxcd.io/app': 'deep.nowhere' }, image: undefined },
    { annotations: { 'repository.fluxcd.io/app': 'deep.image' }, image: undefined },
  ])('$annotations is $image', ({ annotations, image }) => {
    expect(found(values, annotations)).toEqual(image === undefined ? [] : [['app', image]])
  })

  test('win over what the shape says', () => {
    const annotations = { 'repository.fluxcd.io/app': 'app.other' }

    expect(found({ app: { image: 'shape:1', other: 'mapped:1' } }, annotations)).toEqual([
      ['app', 'mapped:1'],
    ])
  })
})

test('writing spreads an image over the places that it has', () => {
  const image = { registry: 'r.io', repository: 'org/i', tag: '2' }
  const plan = (map: JsonObject) =>
    readHelmContainers(release(map)).flatMap((container) =>
      planHelmImage(container, image).map(({ path, text }) => `${path.slice(2).join('.')}=${text}`),
    )

  expect(plan({ image: 'a:1' })).toEqual(['image=r.io/org/i:2'])
  expect(plan({ image: 'a', tag: '1' })).toEqual(['image=r.io/org/i', 'tag=2'])
  expect(plan({ image: 'a:1', registry: 'h' })).toEqual(['registry=r.io', 'image=org/i:2'])
  expect(plan({ image: { repository: 'a', registry: 'h', tag: '1' } })).toEqual([
    'image.registry=r.io',
    'image.repository=org/i',
    'image.tag=2',
  ])
})
