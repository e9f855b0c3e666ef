import { expect, test } from 'vitest'
import { formatNote, readNote } from '../../src/api/note.ts'
import { readUpdateSpec } from '../../src/api/read.ts'
import { parseResourceId } from '../../src/core/resource/id.ts'

const id = parseResourceId('demo:deployment/web')
const policy = readUpdateSpec({ type: 'policy', spec: { [id]: { add: { locked: 'true' } } } })

test('a policy update has no result in its note', () => {
  const result = new Map([[id, { status: 'success' as const, updates: [] }]])

  expect(formatNote({ jobId: 'j', spec: policy, result })).toBe(
    '{"jobID":"j","spec":{"type":"policy","cause":{"Message":"","User":""},' +
      '"spec":{"demo:deployment/web":{"add":{"locked":"true"},"remove":null}}},"result":null}',
  )
})

test('a request id is kept, and only where one was given', () => {
  const note = formatNote({ jobId: 'j', spec: policy, requestId: 'request-1' })

  expect(note).toContain('"requestID":"request-1"')
  expect(readNote(note)).toMatchObject({ jobId: 'j', requestId: 'request-1' })
})

test('a note of the original that its own programs cannot read is read', () => {
  const spec = {
    Kind: 'execute',
    ContainerSpecs: { [id]: [{ Container: 'web', Current: '', Target: 'x/web:2' }] },
  }
  const note = readNote(
    JSON.stringify({ jobID: 'j', spec: { type: 'containers', cause: {}, spec }, result: {} }),
  )

  expect(note?.spec).toMatchObject({ type: 'containers' })
})

test.each(['', 'reviewed by me', '{}', '{"jobID":1}', '[]'])('"%s" is no note of fluxd', (text) => {
  expect(readNote(text)).toBeUndefined()
})
