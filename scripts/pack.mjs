// Packs what ships: the built programs, with a package.json that asks for nothing but what the bundles leave outside.
// The root's own would not do: npm heeds its overrides in a checkout only.
//
// Prints the path of the tarball. `node scripts/pack.mjs [FOLDER]`, `.cache` if no folder is given.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const target = resolve(process.argv[2] ?? '.cache')
const folder = join('.cache', 'package')

const {
  name,
  version,
  private: unpublished,
  description,
  license,
  type,
  engines,
  bin,
  dependencies,
} = JSON.parse(readFileSync('package.json', 'utf8'))

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
mkdirSync(target, { recursive: true })
for (const part of ['bin', 'deploy/crds', 'dist', 'LICENSE', 'README.md'])
  cpSync(part, join(folder, part), { recursive: true })
rmSync(join(folder, 'dist', '.built'), { force: true })

const bundles = readdirSync('dist', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.cjs'))
  .map((file) => readFileSync(join('dist', file), 'utf8'))
const outside = Object.entries(dependencies).filter(([name]) =>
  bundles.some((text) => text.includes(`require("${name}")`)),
)
const manifest = {
  name,
  version,
  private: unpublished,
  description,
  license,
  type,
  engines,
  bin,
  dependencies: Object.fromEntries(outside),
}
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)

const args = ['pack', `./${folder}`, '--pack-destination', target, '--json']
const [{ filename }] = JSON.parse(execFileSync('npm', args, { encoding: 'utf8' }))
console.log(join(target, filename))
