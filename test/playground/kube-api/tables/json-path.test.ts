import { expect, test } from 'vitest'
import { findByPath } from '../../../../src/playground/kube-api/tables/json-path.ts'

const object = {
  metadata: { annotations: { 'a.b/c': 'dotted' }, name: 'x' },
  spec: {
    list: [
      { name: 'one', size: 1 },
      { name: 'two', size: 2, nested: { name: 'deep' } },
    ],
  },
  status: { conditions: [{ type: 'Other' }, { type: 'Ready', status: 'True' }] },
}

test.each([
  { path: '.metadata.name', found: ['x'] },
  { path: '{.metadata.name}', found: ['x'] },
  { path: '$.metadata.name', found: ['x'] },
  { path: '.metadata.annotations.a\\.b/c', found: ['dotted'] },
  { path: ".metadata.annotations['a.b/c']", found: ['dotted'] },
  { path: '.metadata.annotations["a.b/c"]', found: ['dotted'] },
  { path: '.spec.list[0].name', found: ['one'] },
  { path: '.spec.list[-1].name', found: ['two'] },
  { path: '.spec.list[-1:].name', found: ['two'] },
  { path: '.spec.list[0,1].size', found: [1, 2] },
  { path: '.spec.list[*].name', found: ['one', 'two'] },
  { path: '.spec.list[?(@.size>1)].name', found: ['two'] },
  { path: '.spec.list[?(@.nested)].name', found: ['two'] },
  { path: '.status.conditions[?(@.type=="Ready")].status', found: ['True'] },
  { path: ".status.conditions[?(@.type=='Ready')].status", found: ['True'] },
  { path: '.status.conditions[?(@.type != "Ready")].type', found: ['Other'] },
  { path: '.spec..name', found: ['one', 'two', 'deep'] },
  { path: '.spec.missing.name', found: [] },
  { path: '.metadata.constructor', found: [] },
  { path: '.spec.list[', found: [] },
])('$path', ({ path, found }) => {
  expect(findByPath(object, path)).toEqual(found)
})
