import { expect, test } from 'vitest'
import { selectManifestPaths } from '../../../src/core/manifest/select.ts'

const tree = [
  '.github/workflow.yaml',
  'README.md',
  'apps/web.yaml',
  'apps/web.yml',
  'apps/web.json',
  'charts/nginx/Chart.yaml',
  'charts/nginx/templates/deployment.yaml',
  'charts/nginx/values.yaml',
  'charts/readme.yaml',
  'garbage/Chart.yaml',
  'root.yaml',
]

test.each([
  {
    paths: [],
    selected: [
      '.github/workflow.yaml',
      'apps/web.yaml',
      'apps/web.yml',
      'charts/readme.yaml',
      'garbage/Chart.yaml',
      'root.yaml',
    ],
  },
  { paths: ['apps'], selected: ['apps/web.yaml', 'apps/web.yml'] },
  { paths: ['./apps//', 'apps/web.yml'], selected: ['apps/web.yaml', 'apps/web.yml'] },
  { paths: ['garbage/../apps/web.yaml'], selected: ['apps/web.yaml'] },
  { paths: ['README.md', 'apps/web.json'], selected: [] },
  { paths: ['charts'], selected: ['charts/readme.yaml'] },
  { paths: ['charts/nginx'], selected: [] },
  { paths: ['charts/nginx/templates/deployment.yaml'], selected: [] },
  { paths: ['garbage'], selected: ['garbage/Chart.yaml'] },
])('selects $selected for $paths', ({ paths, selected }) => {
  expect(selectManifestPaths(tree, paths)).toEqual(selected)
})

test.each(['nowhere', 'apps/we', '../apps', 'apps/../../apps'])('%s is not in the repository', (path) => {
  expect(() => selectManifestPaths(tree, ['apps', path])).toThrow(
    expect.objectContaining({
      code: 'GIT_PATH_MISSING',
      what: `unable to read root path ${JSON.stringify(path)}`,
    }),
  )
})

test('an empty repository has no manifests', () => {
  expect(selectManifestPaths([], [])).toEqual([])
})
