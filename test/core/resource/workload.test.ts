import { expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/json.ts'
import { resourceIdOf } from '../../../src/core/resource/id.ts'
import { isWorkloadKind, readWorkload } from '../../../src/core/resource/workload.ts'

const podSpec: JsonObject = {
  initContainers: [{ name: 'init', image: 'example/base:3.10' }],
  containers: [
    { name: 'main', image: 'ghcr.io/org/app:1.2.3' },
    { name: 'broken', image: 'a:b:c' },
    { name: 'bare' },
    { image: 'example/nameless' },
    'not a container',
  ],
}
const containers = [
  {
    name: 'main',
    image: { registry: 'ghcr.io', repository: 'org/app', tag: '1.2.3' },
    imageText: 'ghcr.io/org/app:1.2.3',
    init: false,
  },
  { name: 'broken', imageText: 'a:b:c', init: false },
  { name: 'bare', imageText: '', init: false },
  { name: '', image: { repository: 'example/nameless' }, imageText: 'example/nameless', init: false },
  {
    name: 'init',
    image: { repository: 'example/base', tag: '3.10' },
    imageText: 'example/base:3.10',
    init: true,
  },
]

test.each(['Deployment', 'DaemonSet', 'StatefulSet', 'deployment'])(
  'reads the containers of a %s',
  (kind) => {
    const id = resourceIdOf('demo', kind, 'a')

    expect(readWorkload(id, kind, { spec: { template: { spec: podSpec } } })).toEqual({ id, containers })
  },
)

test('reads the containers of a CronJob', () => {
  const value = { spec: { jobTemplate: { spec: { template: { spec: podSpec } } } } }

  expect(readWorkload(resourceIdOf('demo', 'CronJob', 'a'), 'CronJob', value)?.containers).toEqual(containers)
})

test.each(['Job', 'Pod', 'ReplicaSet', 'ConfigMap', 'constructor'])('a %s is none', (kind) => {
  expect(isWorkloadKind(kind)).toBe(false)
  expect(readWorkload(resourceIdOf('demo', kind, 'a'), kind, { spec: podSpec })).toBeUndefined()
})

test.each([{}, { spec: null }, { spec: { template: { spec: { containers: 'none' } } } }])(
  'a workload without containers has none: %j',
  (value) => {
    const id = resourceIdOf('demo', 'Deployment', 'a')

    expect(readWorkload(id, 'Deployment', value)).toEqual({ id, containers: [] })
  },
)

test.each(['HelmRelease', 'FluxHelmRelease'])('reads the images in the values of a %s', (kind) => {
  const id = resourceIdOf('demo', kind, 'a')

  expect(readWorkload(id, kind, { spec: { values: { image: 'example/app:1' } } })).toEqual({
    id,
    containers: [
      {
        name: 'chart-image',
        image: { repository: 'example/app', tag: '1' },
        imageText: 'example/app:1',
        init: false,
      },
    ],
  })
})
