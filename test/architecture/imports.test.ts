import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { expect, test } from 'vitest'

/**
 * The arrows of `docs/architecture.md`: what a room may import, beside itself. A longer name wins over a shorter.
 * `cli/main` and `agent/main` are the parts lists, where adapters are handed in.
 */
const mayImport: Record<string, string[]> = {
  core: [],
  'version.ts': [],
  ports: ['core'],
  api: ['core'],
  adapters: ['ports', 'api', 'core', 'adapters'],
  http: ['ports', 'api', 'core'],
  runtime: ['ports', 'api', 'core'],
  agent: ['http', 'runtime', 'ports', 'api', 'core'],
  'agent/main.ts': ['version.ts', 'agent', 'adapters', 'http', 'runtime', 'ports', 'api', 'core'],
  operator: ['http', 'runtime', 'ports', 'api', 'core'],
  'operator/main.ts': ['version.ts', 'operator', 'adapters', 'http', 'runtime', 'ports', 'api', 'core'],
  cli: ['runtime/flags.ts', 'runtime/flag-table.ts', 'ports', 'api', 'core'],
  'cli/main.ts': ['version.ts', 'cli', 'adapters', 'runtime', 'ports', 'api', 'core'],
  'cli/commands/demo.ts': ['cli', 'playground', 'core', 'ports', 'api'],
  playground: ['adapters/system', 'http', 'core', 'ports'],
  // a person names an API server by a kubeconfig
  'playground/tour/cluster.ts': ['playground', 'adapters/kube', 'core'],
}

const source = 'src'
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)
const importOf =
  /(?:^|\n)\s*(?:import|export)\b[^'"]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|(?:^|\n)import\s*'([^']+)'/g

const imports = files.flatMap((file) =>
  [...readFileSync(join(source, file), 'utf8').matchAll(importOf)].map((match) => ({
    file,
    target: match[1] ?? match[2] ?? match[3] ?? '',
  })),
)

function roomOf(path: string): string {
  const rooms = Object.keys(mayImport).filter((room) => path === room || path.startsWith(`${room}/`))
  return rooms.sort((a, b) => b.length - a.length)[0] ?? ''
}

const top = (path: string) => path.split('/')[0] ?? ''

test('every file stands in a room of the house', () => {
  expect(files.filter((file) => roomOf(file) === '')).toEqual([])
})

test('arrows point only where the house allows', () => {
  const wrong = imports
    .filter(({ target }) => target.startsWith('.'))
    .map(({ file, target }) => ({ file, target: relative('.', normalize(join(dirname(file), target))) }))
    .filter(({ file, target }) => {
      const room = roomOf(file)
      if (top(target) === top(room)) return room.startsWith('adapters') ? false : target.endsWith('/main.ts')
      return !(mayImport[room] ?? []).some(
        (allowed) => target === allowed || target.startsWith(`${allowed}/`),
      )
    })

  expect(wrong).toEqual([])
})

test('core leans on three libraries and, of Node, on hashing and the name of a stream', () => {
  const allowed = ['js-yaml', 'yaml', 're2js', 'node:crypto', 'node:stream']
  const wrong = imports.filter(
    ({ file, target }) =>
      /^(core|ports|api)\//.test(file) && !target.startsWith('.') && !allowed.includes(target),
  )

  expect(wrong).toEqual([])
})

test('relative imports carry .ts or name a table, and Node carries node:', () => {
  const builtins = new Set(process.getBuiltinModule('node:module').builtinModules)
  const wrong = imports.filter(({ target }) =>
    target.startsWith('.') ? !/\.(ts|json)$/.test(target) : builtins.has(target),
  )

  expect(wrong).toEqual([])
})

test('the library behind each door is named in one place', () => {
  const doors: Record<string, RegExp> = {
    'js-yaml': /^(core\/manifest\/|adapters\/kube\/kubeconfig\.ts$)/,
    yaml: /^core\/manifest\//,
    re2js: /^core\/policy\//,
    fastify: /^http\//,
    'prom-client': /^adapters\/system\//,
    '@kubernetes/client-node': /^adapters\/kube\//,
    ssh2: /^playground\/git\//,
    ws: /^(adapters\/kube|playground)\//,
    undici: /^adapters\/(registry\/|fluxd\/|helm\/fetch\.ts$)/,
  }
  const wrong = imports.filter(({ file, target }) => doors[target] !== undefined && !doors[target].test(file))

  expect(wrong).toEqual([])
})
