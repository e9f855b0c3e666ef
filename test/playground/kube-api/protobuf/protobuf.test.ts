import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type KubeObject, StatusError } from '../../../../src/playground/kube-api/model.ts'
import { decodeProtobuf } from '../../../../src/playground/kube-api/protobuf/protobuf.ts'

/** objects as a real API server gave them in JSON and in protobuf */
const recorded = JSON.parse(
  readFileSync(new URL('../../../fixtures/kube-protobuf.json', import.meta.url), 'utf8'),
) as { object: KubeObject; protobuf: string }[]

const text = (number: number, value: string | Uint8Array) => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes])
}
const varint = (number: number, value: number) => Buffer.from([number * 8, value])
const envelope = (apiVersion: string, kind: string, raw: Uint8Array) =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    text(1, Buffer.concat([text(1, apiVersion), text(2, kind)])),
    text(2, raw),
  ])

describe('what a real API server sent', () => {
  test.each(recorded)('is read like its JSON: $object.kind', ({ object, protobuf }) => {
    // JSON shows times that are not set, and answers take them away again
    const withoutNulls = JSON.parse(JSON.stringify(object), (_key, value) => value ?? undefined)

    expect(decodeProtobuf(Buffer.from(protobuf, 'base64'))).toEqual(withoutNulls)
  })
})

test('the fields are those of the version whose types are served', () => {
  const versionOf = (path: string) =>
    JSON.parse(readFileSync(`src/playground/kube-api/${path}`, 'utf8')).version as string

  expect(versionOf('protobuf/messages.json')).toBe(versionOf('schema/types.json'))
})

test('options of any group are those of meta', () => {
  const raw = Buffer.concat([varint(1, 0), text(4, 'Background')])

  expect(decodeProtobuf(envelope('apps/v1', 'DeleteOptions', raw))).toEqual({
    apiVersion: 'apps/v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
    propagationPolicy: 'Background',
  })
})

test('a review of access has a spec and an empty status', () => {
  const attributes = Buffer.concat([text(1, 'demo'), text(2, 'get'), text(5, 'pods')])
  const raw = Buffer.concat([text(2, text(1, attributes)), text(3, varint(1, 0))])

  expect(decodeProtobuf(envelope('authorization.k8s.io/v1', 'SelfSubjectAccessReview', raw))).toEqual({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { namespace: 'demo', verb: 'get', resource: 'pods' } },
    status: { allowed: false },
  })
})

test('a key of a map is a key, whatever it is called', () => {
  const labels = text(2, Buffer.concat([text(1, '__proto__'), text(2, 'x')]))

  const { data } = decodeProtobuf(envelope('v1', 'ConfigMap', labels)) as { data?: object }

  expect(Object.entries(data ?? {})).toEqual([['__proto__', 'x']])
})

test.each([
  { what: 'JSON', bytes: Buffer.from('{"kind":"Secret"}'), says: /expected prefix \[107 56 115 0\]/ },
  { what: 'an unknown kind', bytes: envelope('v1', 'Nothing', Buffer.alloc(0)), says: /no kind "Nothing"/ },
  { what: 'half a field', bytes: envelope('v1', 'Secret', Buffer.from([10, 99, 1])), says: /unexpected EOF/ },
])('$what is refused', ({ bytes, says }) => {
  expect(() => decodeProtobuf(bytes)).toThrow(says)
})

test('bytes of any kind are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (raw) => {
      try {
        decodeProtobuf(envelope('v1', 'Pod', raw))
      } catch (error) {
        expect(error).toBeInstanceOf(StatusError)
      }
    }),
  )
})
