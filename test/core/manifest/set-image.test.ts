import { describe, expect, test } from 'vitest'
import { FluxError } from '../../../src/core/errors.ts'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { setImage } from '../../../src/core/manifest/set-image.ts'

/** Set an image of the first manifest that has the container. */
function edit(text: string, container: string, image: string, kind?: string): string {
  const file = parseManifestFile('app.yaml', text)
  expect(file.faults).toEqual([])
  const manifest = file.manifests.find((at) => kind === undefined || at.kind === kind)
  if (!manifest) throw new Error('no manifest')
  return setImage(file, manifest, container, parseImageRef(image))
}

const deployment = (containers: string, metadata = '  name: app\n  namespace: demo\n') =>
  `---\napiVersion: extensions/v1beta1\nkind: Deployment\nmetadata:\n${metadata}spec:\n  template:\n    spec:\n${containers}`

/** Lines as indented below `spec.template.spec`. */
const containers = (...lines: string[]) =>
  `      containers:\n${lines.map((line) => `      ${line}\n`).join('')}`

describe('workloads', () => {
  test.each([
    {
      name: 'a common tag',
      lines: ['- name: pr-assigner', '  image: quay.io/x/pr-assigner:master-6f5e816', '  args: [--a=b]'],
      container: 'pr-assigner',
      old: 'quay.io/x/pr-assigner:master-6f5e816',
      image: 'quay.io/x/pr-assigner:master-1234567',
    },
    {
      name: 'a tag that looks like a number',
      lines: ['- name: fluxy', '  image: x/fluxy:master-a000001', '  args: [] # a comment elsewhere'],
      container: 'fluxy',
      old: 'x/fluxy:master-a000001',
      image: 'x/fluxy:1234567',
    },
    {
      name: 'a tag with dots and underscores',
      lines: ['- name: front-end', '  image: front-end:v_0.2.0'],
      container: 'front-end',
      old: 'front-end:v_0.2.0',
      image: 'front-end:7511d7aa8a2dd4b7d0b1c5d4dd4d53e1e1c0a3b2',
    },
    {
      name: 'no tag',
      lines: ['- name: web', '  image: nginx'],
      container: 'web',
      old: /nginx$/m,
      image: 'nginx:1.10-alpine',
    },
    {
      name: 'a comment behind the image',
      lines: [
        '- image: nginx:some-other-tag # testing comments, and this image is on the first line.',
        '  name: nginx2',
      ],
      container: 'nginx2',
      old: 'nginx:some-other-tag',
      image: 'nginx:1.10-alpine',
    },
    {
      name: 'keys in another order',
      lines: ['- ports:', '  - containerPort: 80', '  image: nginx:1.0', '  name: nginx'],
      container: 'nginx',
      old: 'nginx:1.0',
      image: 'nginx:1.10-alpine',
    },
    {
      name: 'blank and comment lines',
      lines: ['#', '- name: first', '  image: a:1', '  #', '', '#', '- name: second', '  image: b:1'],
      container: 'second',
      old: 'b:1',
      image: 'b:2',
    },
    {
      name: 'single quotes',
      lines: ['- name: weave', "  image: 'x/weave-kube:2.2.0'"],
      container: 'weave',
      old: 'x/weave-kube:2.2.0',
      image: 'x/weave-kube:2.2.1',
    },
    {
      name: 'a digest',
      lines: ['- name: app', '  image: example/app@sha256:0123'],
      container: 'app',
      old: 'example/app@sha256:0123',
      image: 'example/app@sha256:4567',
    },
    {
      name: 'a digest in place of a tag',
      lines: ['- name: app', '  image: example/app:1.0'],
      container: 'app',
      old: 'example/app:1.0',
      image: 'example/app:1.1@sha256:4567',
      written: 'example/app@sha256:4567',
    },
  ])('replaces $name and no other byte', ({ lines, container, old, image, written = image }) => {
    const text = deployment(containers(...lines))

    expect(edit(text, container, image)).toBe(text.replace(old, written))
  })

  test('keeps an odd layout of the metadata', () => {
    const metadata = ' namespace: demo\n name: app # below its namespace\n'
    const text = deployment(containers('- name: app', '  image: a:1', '- name: b', '  image: b:1'), metadata)

    expect(edit(text, 'app', 'a:2')).toBe(text.replace('a:1', 'a:2'))
  })

  test('finds an init container, after the containers', () => {
    const text = deployment(
      `      initContainers:\n      - name: app\n        image: a:1\n      - name: init\n        image: i:1\n${containers('- name: app', '  image: a:1')}`,
    )

    expect(edit(text, 'init', 'i:2')).toBe(text.replace('i:1', 'i:2'))
    expect(edit(text, 'app', 'a:2')).toBe(text.replace(/a:1\n$/, 'a:2\n'))
  })

  test('finds the containers of a CronJob', () => {
    const text = `apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers:\n          - name: app\n            image: a:1\n`

    expect(edit(text, 'app', 'a:2')).toBe(text.replace('a:1', 'a:2'))
  })

  test('leaves the other documents alone', () => {
    const text = `kind: Namespace\nmetadata: {name: demo}\n${deployment(containers('- name: app', '  image: a:1'))}---\nkind: Service\nmetadata:   {name: app}\nimage: a:1\n`

    expect(edit(text, 'app', 'a:2', 'Deployment')).toBe(text.replace('image: a:1', 'image: a:2'))
  })

  test('writes the same image without a change', () => {
    const text = deployment(containers('- name: app', '  image: "a:1"'))

    expect(edit(text, 'app', 'a:1')).toBe(text)
  })

  test('says which container is not there', () => {
    const text = deployment(containers('- name: app', '  image: a:1'))

    expect(() => edit(text, 'other', 'a:2')).toThrow(
      expect.objectContaining({
        code: 'MANIFEST_NOT_FOUND',
        what: 'manifest not found',
        why: 'demo:deployment/app in app.yaml has no container other.',
      }),
    )
  })
})

describe('what is shared', () => {
  const refused = (text: string, container: string) => {
    try {
      return edit(text, container, 'a:2')
    } catch (thrown) {
      if (!(thrown instanceof FluxError)) throw thrown
      return [thrown.code, thrown.what, thrown.why]
    }
  }

  test('an image that others use through an anchor is refused, naming file, line and path', () => {
    const text = deployment(containers('- name: app', '  image: &image a:1', '- name: b', '  image: *image'))

    expect(refused(text, 'app')).toEqual([
      'MANIFEST_EDIT_UNPROVEN',
      'app.yaml:2: cannot change spec.template.spec.containers[0].image of demo:deployment/app safely',
      'Something else would change as well: the value is shared, merged or repeated. Nothing was changed.',
    ])
  })

  test('an image that comes through an alias is written out', () => {
    const text = deployment(
      containers('- name: app', '  image: &image a:1', '- name: b', '  image: *image # same'),
    )

    expect(refused(text, 'b')).toBe(text.replace('*image', 'a:2'))
  })

  test('a container that is used twice through an anchor is refused', () => {
    const text = deployment(
      `      containers:\n      - &app\n        name: app\n        image: a:1\n      initContainers: [*app]\n`,
    )

    expect(refused(text, 'app')).toContain('MANIFEST_EDIT_UNPROVEN')
  })

  test('an image that a merge brings is written beside it', () => {
    const text = deployment(containers('- &base', '  name: app', '  image: a:1', '- <<: *base', '  name: b'))

    expect(refused(text, 'b')).toBe(`${text}        image: a:2\n`)
  })

  test('an image that a later merge overrules is refused', () => {
    const text = deployment(
      containers('- &base', '  name: app', '  image: a:1', '- name: b', '  image: b:1', '  <<: *base'),
    )

    expect(refused(text, 'app')).toContain('MANIFEST_EDIT_UNPROVEN')
  })
})

describe('HelmReleases', () => {
  const release = (values: string, annotations = '') =>
    `apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata:\n  name: a\n  namespace: demo\n${annotations}spec:\n  values:\n${values.replace(/^/gm, '    ').trimEnd()}\n`

  test.each([
    { shape: 'image: r.io/i:1', becomes: 'image: r.io/i:2' },
    { shape: 'image: r.io/i\ntag: "1"', becomes: 'image: r.io/i\ntag: "2"' },
    { shape: 'registry: r.io\nimage: i\ntag: v1', becomes: "registry: r.io\nimage: i\ntag: '2'" },
    { shape: 'registry: r.io\nimage: i:1', becomes: 'registry: r.io\nimage: i:2' },
    {
      shape: 'image:\n  repository: r.io/i\n  tag: 1.0',
      becomes: "image:\n  repository: r.io/i\n  tag: '2'",
    },
    { shape: 'image:\n  repository: r.io/i:1', becomes: 'image:\n  repository: r.io/i:2' },
    {
      shape: 'image:\n  registry: r.io\n  repository: i\n  tag: v1',
      becomes: "image:\n  registry: r.io\n  repository: i\n  tag: '2'",
    },
    {
      shape: 'image:\n  registry: r.io\n  repository: i:1',
      becomes: 'image:\n  registry: r.io\n  repository: i:2',
    },
    { shape: 'image: r.io/i\ntag:', becomes: "image: r.io/i\ntag: '2'" },
    { shape: "image: r.io/i\nregistry: ''\ntag: ''", becomes: "image: i\nregistry: 'r.io'\ntag: '2'" },
  ])('writes $shape back in its shape', ({ shape, becomes }) => {
    const below = (text: string) => `app:\n${text.replace(/^/gm, '  ')}`

    expect(edit(release(shape), 'chart-image', 'r.io/i:2')).toBe(release(becomes))
    expect(edit(release(below(shape)), 'app', 'r.io/i:2')).toBe(release(below(becomes)))
  })

  test('writes where annotations say', () => {
    const annotations = `  annotations:
    registry.fluxcd.io/app: deep.host
    repository.fluxcd.io/app: deep.image.repo
    tag.fluxcd.io/app: deep.version
`
    const text = release('deep:\n  host: r.io\n  image: {repo: org/i}\n  version: v1 # here', annotations)

    expect(edit(text, 'app', 'r.org/org/i:v2')).toBe(text.replace('r.io', 'r.org').replace('v1 #', 'v2 #'))
  })

  test('writes a digest behind the tag, and refuses one alone where the chart takes a tag', () => {
    const text = release('image: {repository: r.io/i, tag: v1}')

    expect(edit(text, 'chart-image', 'r.io/i:v2@sha256:01')).toBe(text.replace('v1}', 'v2@sha256:01}'))
    expect(() => edit(text, 'chart-image', 'r.io/i@sha256:01')).toThrow(
      expect.objectContaining({ code: 'MANIFEST_EDIT_UNPROVEN' }),
    )
    expect(edit(release('image: r.io/i:1'), 'chart-image', 'r.io/i@sha256:01')).toBe(
      release('image: r.io/i@sha256:01'),
    )
  })
})
