import { expect, test } from 'vitest'
import { createLog } from '../../../src/adapters/system/log.ts'
import type { LogFields } from '../../../src/ports/log.ts'

const clock = {
  now: () => new Date('2026-11-22T22:46:23.740Z'),
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
}

function linesOf(format: 'fmt' | 'json', ...entries: LogFields[]): string[] {
  const lines: string[] = []
  const log = createLog({ format, clock, write: (line) => lines.push(line) })
  for (const fields of entries) log.write(fields)
  return lines
}

const written = (fields: LogFields) =>
  linesOf('fmt', fields)[0]?.replace('ts=2026-11-22T22:46:23.74Z ', '').trimEnd()

test.each<{ line: string; fields: LogFields }>([
  // as the original wrote them, the times aside
  {
    line: 'caller=main.go:412 msg="Using kube config: \\"$WORLD/cluster/kubeconfig\\" to connect to the cluster"',
    fields: {
      caller: 'main.go:412',
      msg: 'Using kube config: "$WORLD/cluster/kubeconfig" to connect to the cluster',
    },
  },
  {
    line: 'caller=warming.go:198 component=warmer info="refreshing image" image=127.0.0.1:23055/example/web tag_count=8',
    fields: {
      caller: 'warming.go:198',
      component: 'warmer',
      info: 'refreshing image',
      image: '127.0.0.1:23055/example/web',
      tag_count: 8,
    },
  },
  {
    line: 'method=Sync cmd="kubectl apply -f -" took=188.027666ms err=null output="a unchanged\\nb configured\\n"',
    fields: {
      method: 'Sync',
      cmd: 'kubectl apply -f -',
      took: '188.027666ms',
      err: null,
      output: 'a unchanged\nb configured\n',
    },
  },
  {
    line: 'method=Sync cmd=apply args= count=22',
    fields: { method: 'Sync', cmd: 'apply', args: '', count: 22 },
  },
  { line: 'canonical_name=a/b auth={map[]}', fields: { canonical_name: 'a/b', auth: '{map[]}' } },
  {
    line: 'resources=<cluster>:namespace/prod,prod:deployment/odd',
    fields: { resources: ['<cluster>:namespace/prod', 'prod:deployment/odd'] },
  },
  { line: 'stopping=true', fields: { stopping: true } },
  // and what it would have written
  { line: 'text="null" none=null', fields: { text: 'null', none: null, absent: undefined } },
  { line: 'cmd="a=b"', fields: { cmd: 'a=b' } },
  { line: 'path=C:\\dir', fields: { path: 'C:\\dir' } },
  { line: 'path="C:\\\\my dir\\t"', fields: { path: 'C:\\my dir\t' } },
  { line: 'took=NaN', fields: { took: Number.NaN } },
  { line: 'at=2026-01-02T03:04:05Z', fields: { at: new Date('2026-01-02T03:04:05.000Z') } },
  { line: 'err="git repo not ready"', fields: { err: new Error('git repo not ready') } },
])('writes $line', ({ line, fields }) => {
  expect(written(fields)).toBe(line)
})

test('a line begins with the time, then what the log was made with', () => {
  const lines: string[] = []
  const log = createLog({ format: 'fmt', clock, write: (line) => lines.push(line) })

  log.with({ caller: 'loop.ts', component: 'sync-loop' }).write({ event: 'refreshed' })

  expect(lines).toEqual(['ts=2026-11-22T22:46:23.74Z caller=loop.ts component=sync-loop event=refreshed\n'])
})

test('JSON has sorted keys, plain numbers and booleans, and nothing of HTML escaped', () => {
  const [line] = linesOf('json', {
    component: 'daemon',
    HEAD: 'abc',
    resources: ['<cluster>:namespace/a&b'],
    count: 16,
    ping: true,
    err: null,
    args: '',
  })

  expect(line).toBe(
    '{"HEAD":"abc","args":"","component":"daemon","count":16,"err":null,"ping":true,' +
      '"resources":"<cluster>:namespace/a&b","ts":"2026-11-22T22:46:23.74Z"}\n',
  )
})

const hostile = [
  { text: 'a\nts=2026 forged=true', what: 'a line feed' },
  { text: '\u001b[2J', what: 'an escape sequence' },
  { text: '\u009b2J', what: 'a C1 control' },
  { text: 'a\u202eb', what: 'a bidirectional override' },
  { text: 'a\u2028b', what: 'a line separator' },
  { text: 'a\ud800b', what: 'half a surrogate pair' },
]

test.each(hostile)('$what in a value stays on its line, escaped, in both formats', ({ text }) => {
  const [plain = '', json = ''] = [...linesOf('fmt', { text }), ...linesOf('json', { text })]

  for (const line of [plain, json]) expect(line.trimEnd()).toMatch(/^[\x20-\x7e]*$/)
  expect(JSON.parse(json)).toMatchObject({ text })
})

test('keeps letters of every script and emoji as they are', () => {
  expect(written({ user: 'Ünïcödé-日本-🚀' })).toBe('user=Ünïcödé-日本-🚀')
})

test.each([
  { text: 'https://user:hunter2@git.example.com/repo', shown: 'https://git.example.com/repo' },
  { text: 'https://ghp_token@github.com/org/repo', shown: 'https://github.com/org/repo' },
  { text: 'ssh://git:hunter2@git.example.com/repo', shown: 'ssh://git@git.example.com/repo' },
  { text: 'ssh://git@git.example.com/repo', shown: 'ssh://git@git.example.com/repo' },
])('$text loses its secret', ({ text, shown }) => {
  expect(written({ url: text })).toBe(`url=${shown}`)
  expect(written({ err: new Error(`fetch ${text} failed`) })).toBe(`err="fetch ${shown} failed"`)
  expect(written({ urls: ['a', text] })).toBe(`urls=a,${shown}`)
})
