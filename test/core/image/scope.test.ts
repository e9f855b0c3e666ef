import { expect, test } from 'vitest'
import { isScanned } from '../../../src/core/image/scope.ts'

test.each([
  { name: 'foo', exclude: ['foo/*'], include: [], scanned: true },
  { name: 'starts/foo/bar', exclude: ['foo/*'], include: [], scanned: true },
  { name: '', exclude: ['foo/*'], include: [], scanned: true },
  { name: 'foo/bar', exclude: ['foo/*'], include: [], scanned: false },
  { name: 'boo/whatever', exclude: ['foo/bar/*'], include: ['foo/*', 'boo/*'], scanned: true },
  { name: 'foo/something/else', exclude: ['foo/bar/*'], include: ['foo/*', 'boo/*'], scanned: true },
  { name: 'baz/anything', exclude: ['foo/bar/*'], include: ['foo/*', 'boo/*'], scanned: false },
  { name: 'foo/bar/something', exclude: ['foo/bar/*'], include: ['foo/*', 'boo/*'], scanned: false },
  { name: 'k8s.gcr.io/pause', exclude: ['k8s.gcr.io/*', '*test*'], include: [], scanned: false },
  { name: 'gcr.io/foo/test-bar', exclude: ['k8s.gcr.io/*', '*test*'], include: [], scanned: false },
  { name: 'gcr.io/foo/bar', exclude: ['k8s.gcr.io/*', '*test*'], include: [], scanned: true },
])('$name without $exclude, with $include: $scanned', ({ name, exclude, include, scanned }) => {
  expect(isScanned(name, { exclude, include })).toBe(scanned)
})
