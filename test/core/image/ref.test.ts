import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  canonicalName,
  canonicalRef,
  formatImageRef,
  type ImageRef,
  imageName,
  parseImageRef,
  registryHost,
  withTag,
} from '../../../src/core/image/ref.ts'

const digest = `sha256:${'5'.repeat(64)}`

test.each([
  { text: 'alpine', repository: 'alpine' },
  { text: 'alpine:mytag', repository: 'alpine', tag: 'mytag' },
  { text: 'docker.io/library/alpine', registry: 'docker.io', repository: 'library/alpine' },
  { text: 'localhost/hello:v1.1', registry: 'localhost', repository: 'hello', tag: 'v1.1' },
  { text: 'localhost:5000/hello:v1.1', registry: 'localhost:5000', repository: 'hello', tag: 'v1.1' },
  { text: 'example.com/hello:v1.1', registry: 'example.com', repository: 'hello', tag: 'v1.1' },
  { text: 'example.com:80/hello', registry: 'example.com:80', repository: 'hello' },
  { text: 'gcr.io/hello', registry: 'gcr.io', repository: 'hello' },
  { text: 'index.docker.com/hello', registry: 'index.docker.com', repository: 'hello' },
  { text: 'quay.io/library/alpine', registry: 'quay.io', repository: 'library/alpine' },
  {
    text: 'localhost:5000/path/to/repo/alpine:mytag',
    registry: 'localhost:5000',
    repository: 'path/to/repo/alpine',
    tag: 'mytag',
  },
  { text: '192.168.1.1:5000/i:1', registry: '192.168.1.1:5000', repository: 'i', tag: '1' },
  { text: `user/httpbin@${digest}`, repository: 'user/httpbin', digest },
  { text: 'mylocalhost/foo:1', registry: 'mylocalhost', repository: 'foo', tag: '1' },
  { text: 'registry/foo:1', repository: 'registry/foo', tag: '1' },
  { text: 'registry:5000/foo', repository: 'registry', tag: '5000/foo' },
  { text: 'registry:5000/a/b:1', registry: 'registry:5000', repository: 'a/b', tag: '1' },
  { text: 'x:tag@sha256:abc', repository: 'x', tag: 'tag', digest: 'sha256:abc' },
])('reads $text', ({ text, ...parts }) => {
  expect(parseImageRef(text)).toEqual(parts)
})

const malformed = 'expected image name as either <image>:<tag> or just <image>: invalid image ID'

test.each([
  { text: '', what: 'parsing "": blank image name: invalid image ID' },
  { text: ':tag', what: `parsing ":tag": ${malformed}` },
  { text: 'image:', what: `parsing "image:": ${malformed}` },
  { text: '/leading/slash', what: `parsing "/leading/slash": ${malformed}` },
  { text: 'trailing/slash/', what: `parsing "trailing/slash/": ${malformed}` },
  { text: '@sha256:abc', what: `parsing "@sha256:abc": ${malformed}` },
  { text: 'x@sha256:', what: `parsing "x@sha256:": ${malformed}` },
  { text: 'a:b:c', what: malformed },
  { text: 'registry:5000/foo:1', what: malformed },
])('refuses $text', ({ text, what }) => {
  expect(() => parseImageRef(text)).toThrow(expect.objectContaining({ code: 'IMAGE_REF_INVALID', what }))
})

test.each([
  ['alpine', 'index.docker.io/library/alpine'],
  ['alpine:mytag', 'index.docker.io/library/alpine:mytag'],
  ['docker.io/library/alpine', 'index.docker.io/library/alpine'],
  ['docker.io/alpine:3', 'index.docker.io/library/alpine:3'],
  ['index.docker.io/alpine:3', 'index.docker.io/library/alpine:3'],
  ['quay.io/alpine', 'quay.io/alpine'],
  ['localhost:5000/hello:v1.1', 'localhost:5000/hello:v1.1'],
  [`user/httpbin@${digest}`, 'index.docker.io/user/httpbin'],
  ['mylocalhost/foo:1', 'mylocalhost/foo:1'],
  ['registry/foo:1', 'index.docker.io/registry/foo:1'],
  ['registry:5000/a/b:1', 'registry:5000/a/b:1'],
])('knows %s as %s', (text, canonical) => {
  expect(canonicalRef(parseImageRef(text))).toBe(canonical)
})

test('prints a digest in place of the tag', () => {
  const ref = parseImageRef('x:tag@sha256:abc')

  expect(formatImageRef(ref)).toBe('x@sha256:abc')
  expect(formatImageRef(withTag(ref, 'other'))).toBe('x@sha256:abc')
})

test('names the repository as written, and the host that serves it', () => {
  const ref = parseImageRef('docker.io/org/app:1')

  expect(imageName(ref)).toBe('docker.io/org/app')
  expect(registryHost(ref)).toBe('index.docker.io')
  expect(registryHost(parseImageRef('ghcr.io/org/app'))).toBe('ghcr.io')
})

const label = fc.stringMatching(/^[a-z0-9]{1,8}$/)
const imageRefs = fc.record(
  {
    registry: fc.constantFrom('ghcr.io', 'localhost:5000', 'localhost', '10.0.0.1:5000', 'r.example.com'),
    repository: fc.array(label, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    tag: fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/),
    digest: fc.constant(digest),
  },
  { requiredKeys: ['registry', 'repository'] },
)

test('what it formats, it reads back', () => {
  fc.assert(
    fc.property(imageRefs, (ref) => {
      const { tag, ...withoutTag } = ref
      const shown: ImageRef = ref.digest || tag === undefined ? withoutTag : { ...withoutTag, tag }

      expect(parseImageRef(formatImageRef(ref as ImageRef))).toEqual(shown)
    }),
  )
})

test('what it reads, it prints as it was', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z0-9:./@-]{1,30}$/), (text) => {
      let ref: ImageRef
      try {
        ref = parseImageRef(text)
      } catch {
        return
      }

      expect(formatImageRef({ ...ref })).toBe(
        ref.digest && ref.tag ? text.replace(`:${ref.tag}@`, '@') : text,
      )
    }),
  )
})

test('a canonical name is its own canonical name', () => {
  fc.assert(
    fc.property(imageRefs, (ref) => {
      const name = canonicalName(ref as ImageRef)

      expect(canonicalName(parseImageRef(name))).toBe(name)
    }),
  )
})
