import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { setImage } from '../../../src/core/manifest/set-image.ts'
import { setPolicies } from '../../../src/core/manifest/set-policy.ts'

/** What is done to each file of `original/`, in this order, to make the one of `expected/`. */
type Step =
  | { on: string; container: string; image: string }
  | { on: string; set: Record<string, string | undefined> }

const web = 'demo:deployment/web'
const lockedForGood = { locked: 'true', locked_msg: 'for good: see # 12' }
const newImage = { on: web, container: 'web', image: 'example/web:2.0' }

test.each<{ file: string; steps: Step[] }>([
  { file: 'comments', steps: [newImage, { on: web, set: { automated: 'false', ...lockedForGood } }] },
  {
    file: 'indents',
    steps: [
      { on: 'demo:deployment/one', container: 'side', image: 'example/side:v_0.2.0' },
      { on: 'demo:deployment/one', set: lockedForGood },
      { on: 'demo:deployment/four', container: 'web', image: 'example/web:1234567' },
      { on: 'demo:deployment/four', set: lockedForGood },
    ],
  },
  {
    file: 'flow',
    steps: [
      { on: 'demo:deployment/inline', container: 'web', image: 'example/web:2.0' },
      { on: 'demo:deployment/inline', container: 'side', image: 'example/side:2.0' },
      { on: 'demo:deployment/inline', set: lockedForGood },
      { on: 'demo:deployment/lines', container: 'web', image: 'example/web:2.0' },
      { on: 'demo:deployment/lines', set: { automated: 'true', locked: undefined } },
      { on: 'demo:deployment/bare', set: lockedForGood },
    ],
  },
  {
    file: 'json',
    steps: [
      newImage,
      { on: web, set: lockedForGood },
      { on: 'demo:deployment/tight', container: 'web', image: 'example/web:2.0' },
      { on: 'demo:deployment/tight', set: lockedForGood },
    ],
  },
  {
    file: 'anchors',
    steps: [
      { on: web, container: 'job', image: 'example/job:2.0' },
      { on: web, container: 'side', image: 'example/side:2.0' },
      { on: web, set: lockedForGood },
    ],
  },
  {
    file: 'blocks',
    steps: [
      newImage,
      { on: web, set: { locked_msg: undefined, locked_user: 'Other User', automated: 'true' } },
    ],
  },
  { file: 'block-at-end', steps: [newImage, { on: web, set: lockedForGood }] },
  { file: 'crlf', steps: [newImage, { on: web, set: lockedForGood }] },
  { file: 'bom', steps: [newImage, { on: web, set: lockedForGood }] },
  { file: 'tabs-and-no-newline', steps: [newImage, { on: web, set: lockedForGood }] },
  {
    file: 'annotations-at-end',
    steps: [newImage, { on: web, set: { automated: 'true', locked: undefined } }],
  },
  { file: 'markers', steps: [newImage, { on: 'other:deployment/web', set: lockedForGood }] },
  { file: 'repeated-keys', steps: [newImage, { on: web, set: { locked: undefined } }] },
  {
    file: 'quotes',
    steps: [
      newImage,
      { on: web, container: 'side', image: 'example/side@sha256:0a1b2c3d4e5f' },
      { on: web, set: { 'tag.web': "it's", locked: 'true' } },
    ],
  },
  { file: 'explicit-keys', steps: [newImage, { on: web, set: { locked: undefined, automated: 'true' } }] },
  {
    file: 'empty-values',
    steps: [
      newImage,
      { on: web, set: lockedForGood },
      { on: 'demo:deployment/tilde', container: 'web', image: 'example/web:2.0' },
      { on: 'demo:deployment/tilde', set: lockedForGood },
      { on: 'demo:deployment/braces', set: lockedForGood },
    ],
  },
  { file: 'loose', steps: [newImage, { on: web, set: lockedForGood }] },
  {
    file: 'list',
    steps: [
      newImage,
      { on: web, set: lockedForGood },
      { on: 'demo:deployment/other', container: 'web', image: 'example/web:2.0' },
      { on: 'demo:deployment/other', set: { locked: undefined } },
    ],
  },
  {
    file: 'helm-releases',
    steps: [
      { on: 'demo:helmrelease/text', container: 'chart-image', image: 'example.com/org/app:2.0' },
      { on: 'demo:helmrelease/three', container: 'backend', image: 'example.org/org/app:2.0' },
      { on: 'demo:helmrelease/three', container: 'frontend', image: 'example.com/org/web:1.11' },
      { on: 'demo:fluxhelmrelease/mapped', container: 'app', image: 'example.com/org/app:2.0' },
      { on: 'demo:fluxhelmrelease/mapped', set: { automated: 'true' } },
    ],
  },
])('edits $file.yaml byte for byte', async ({ file, steps }) => {
  const path = `${file}.yaml`
  const fixtures = 'test/fixtures/manifests'
  let text = readFileSync(`${fixtures}/original/${path}`, 'utf8')

  for (const step of steps) {
    const parsed = parseManifestFile(path, text)
    expect(parsed.faults).toEqual([])
    const manifest = parsed.manifests.find(({ id }) => id === step.on)
    if (!manifest) throw new Error(`${step.on} is not in ${path}`)
    text =
      'image' in step
        ? setImage(parsed, manifest, step.container, parseImageRef(step.image))
        : setPolicies(parsed, manifest, new Map(Object.entries(step.set)))
  }

  await expect(text).toMatchFileSnapshot(`../../fixtures/manifests/expected/${path}`)
})
