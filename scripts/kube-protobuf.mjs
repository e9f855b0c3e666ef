// node scripts/kube-protobuf.mjs [--check]
//
// Makes src/playground/kube-api/protobuf/messages.json: the numbers, names and types of the fields of every kind that
// Kubernetes serves, as typed Go clients send them in protobuf. From the field tags of Kubernetes' own Go modules, which
// need `go` and its module proxy. `--check` compares instead of writing.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const types = JSON.parse(
  readFileSync(new URL('../src/playground/kube-api/schema/types.json', import.meta.url), 'utf8'),
)
const out = new URL('../src/playground/kube-api/protobuf/messages.json', import.meta.url)
const moduleVersion = types.version.replace(/^v1\./, 'v0.')
const modules = [
  'k8s.io/api',
  'k8s.io/apimachinery',
  'k8s.io/apiextensions-apiserver',
  'k8s.io/kube-aggregator',
]

/** messages by their name without `k8s.io.`, and their fields as one line of text each */
const messages = new Map()
const folders = downloadModules()
for (const [module, folder] of folders) {
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('generated.proto'))
      readPackage(module, folder, file.slice(0, -'generated.proto'.length - 1))
  }
}

const roots = types.resources.map(({ type }) => type)
roots.push('api.autoscaling.v1.Scale', 'api.policy.v1.Eviction', 'api.authentication.v1.TokenRequest')
for (const name of messages.keys()) {
  if (/^apimachinery\.pkg\.apis\.meta\.v1\.(\w+Options|Status)$/.test(name)) roots.push(name)
}
const wanted = new Set()
for (const root of roots) collect(root)
const fields = (name) => (messages.get(name) ?? []).map(format)
const table = {
  version: types.version,
  packages: Object.fromEntries(
    types.resources.map(({ group, version, type }) => [
      group === '' ? version : `${group}/${version}`,
      type.slice(0, type.lastIndexOf('.')),
    ]),
  ),
  messages: Object.fromEntries([...wanted].sort().map((name) => [name, fields(name)])),
}
const text = execFileSync('npx', ['biome', 'format', '--stdin-file-path=messages.json'], {
  input: JSON.stringify(table),
  encoding: 'utf8',
  stdio: ['pipe', 'pipe', 'ignore'],
})

if (!process.argv.includes('--check')) writeFileSync(out, text)
else if (readFileSync(out, 'utf8') !== text) {
  console.error('messages.json is stale: run node scripts/kube-protobuf.mjs')
  process.exitCode = 1
}

function downloadModules() {
  const folder = mkdtempSync(join(tmpdir(), 'kube-protobuf-'))
  try {
    const named = modules.map((module) => `${module}@${moduleVersion}`)
    const json = execFileSync('go', ['mod', 'download', '-json', ...named], { cwd: folder, encoding: 'utf8' })
    return json
      .split(/(?<=\n\})\n/)
      .filter((part) => part.trim() !== '')
      .map((part) => JSON.parse(part))
      .map(({ Path, Dir }) => [Path, Dir])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function collect(name) {
  if (wanted.has(name) || !messages.has(name)) return
  wanted.add(name)
  for (const { type } of messages.get(name)) collect(type)
}

/** One Go package: names and types from its .proto, and from its Go tags what JSON calls a field and how it omits it. */
function readPackage(module, folder, path) {
  const tags = new Map()
  for (const file of readdirSync(join(folder, path))) {
    if (!file.endsWith('.go') || file.endsWith('_test.go') || file.startsWith('zz_')) continue
    if (file.startsWith('generated.')) continue
    readTags(readFileSync(join(folder, path, file), 'utf8'), tags)
  }
  const self = `${module}/${path}`.replaceAll('/', '.').replace(/^k8s\.io\./, '')
  const proto = readFileSync(join(folder, path, 'generated.proto'), 'utf8')
  for (const [, message, body] of proto.matchAll(/^message (\w+) \{\n(.*?)^\}/gms)) {
    const fields = [
      ...body.matchAll(/^ {2}(optional|repeated|required|map<(\w+), *([\w.]+)>) ?([\w.]+)? (\w+) = (\d+)/gm),
    ].map(([, rule, , mapValue, plainType, protoName, number]) => {
      const tag = tags.get(`${message}.${number}`)
      return {
        number: Number(number),
        name: tag?.json ?? protoName,
        inline: tag?.inline ?? false,
        many: mapValue ? '{}' : rule === 'repeated' ? '[]' : '',
        // what is there although it is empty: pointers, and fields that are never omitted
        keep: tag?.keep ?? true,
        type: qualify(mapValue ?? plainType, self),
      }
    })
    messages.set(`${self}.${message}`, fields)
  }
}

function qualify(type, self) {
  if (/^(string|bytes|bool|int32|int64|uint32|uint64|double)$/.test(type)) return type
  const absolute = type
    .replaceAll('_', '-')
    .replace(/^\./, '')
    .replace(/^k8s\.io\./, '')
  return absolute.includes('.') ? absolute : `${self}.${absolute}`
}

function readTags(source, tags) {
  for (const [, struct, body] of source.matchAll(/^type (\w+) struct \{\n(.*?)^\}/gms)) {
    const field = /^\t(?:\w+[ \t]+)?([\w.[\]*]+)[ \t]+`([^`\n]*protobuf:"[^`\n]*)`/gm
    for (const [, type, tag] of body.matchAll(field)) {
      const [json = '', ...options] = (/json:"([^"]*)"/.exec(tag)?.[1] ?? '').split(',')
      const number = /protobuf:"\w+,(\d+)/.exec(tag)?.[1]
      tags.set(`${struct}.${number}`, {
        json: json || undefined,
        inline: options.includes('inline'),
        keep: type.startsWith('*') || !(options.includes('omitempty') || options.includes('omitzero')),
      })
    }
  }
}

/** `2 data {}bytes`: number, name (`.` where the fields belong to the parent), type; `!` where zero counts. */
function format({ number, name, inline, many, keep, type }) {
  return `${number} ${inline ? '.' : name} ${many}${type}${keep && !many && !inline ? '!' : ''}`
}
