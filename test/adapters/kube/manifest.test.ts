import { describe, expect, test } from 'vitest'
import { lastAppliedAnnotation, lastAppliedOf, toAppliedObject } from '../../../src/adapters/kube/manifest.ts'

describe('what is applied', () => {
  test('has neither status nor what only the server writes', () => {
    const applied = toAppliedObject({
      kind: 'ConfigMap',
      metadata: { name: 'a', uid: 'u', labels: { x: 'y' }, selfLink: '/a' },
      status: { ready: true },
    })

    expect(applied).toEqual({
      kind: 'ConfigMap',
      metadata: {
        name: 'a',
        labels: { x: 'y' },
        annotations: { [lastAppliedAnnotation]: expect.any(String) },
      },
    })
    expect(lastAppliedOf(applied)).toEqual({
      kind: 'ConfigMap',
      metadata: { name: 'a', labels: { x: 'y' }, annotations: {} },
    })
  })

  test('does not write down an older annotation inside the new one', () => {
    const old = {
      metadata: { name: 'a', annotations: { [lastAppliedAnnotation]: '{"old":true}', kept: '1' } },
    }

    const applied = toAppliedObject(old)

    expect(lastAppliedOf(applied)).toEqual({ metadata: { name: 'a', annotations: { kept: '1' } } })
  })

  test('leaves the manifest as it was', () => {
    const manifest = { metadata: { name: 'a', uid: 'u' }, status: {} }

    toAppliedObject(manifest)

    expect(manifest).toEqual({ metadata: { name: 'a', uid: 'u' }, status: {} })
  })
})
