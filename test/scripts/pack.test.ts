import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

/** A checkout with bundles of one line. */
function checkout(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'pack-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  cpSync('scripts/pack.mjs', join(root, 'scripts/pack.mjs'))
  return root
}

test('packs the programs, asking only for what the bundles leave outside', () => {
  const root = checkout({
    'package.json': JSON.stringify({
      name: 'fluxctl',
      version: '1.2.3',
      private: true,
      license: 'Apache-2.0',
      type: 'module',
      engines: { node: '>=20.19' },
      bin: { fluxctl: 'bin/fluxctl.cjs' },
      scripts: { test: 'false' },
      dependencies: { fastify: '5.0.0', lmdb: '3.5.6' },
      devDependencies: { typescript: '6.0.3' },
    }),
    'bin/fluxctl.cjs': `#!/usr/bin/env node\nrequire('../dist/fluxctl/main.cjs')\n`,
    'dist/fluxctl/main.cjs': `console.log('packed')\n`,
    'dist/fluxd/store-1234.cjs': `const store = require("lmdb")\n`,
    'deploy/crds/helmreleases.yaml': '',
    'dist/.built': '',
    LICENSE: '',
    'README.md': '',
    'src/secret.ts': '',
  })

  const printed = execFileSync(process.execPath, ['scripts/pack.mjs', 'out'], { cwd: root, encoding: 'utf8' })

  const tarball = printed.trim()
  expect(tarball).toBe(join(root, 'out', 'fluxctl-1.2.3.tgz'))
  execFileSync('tar', ['-xzf', tarball, '-C', root])
  const packed = join(root, 'package')
  const listed = spawnSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).stdout.trim().split('\n').sort()
  expect(listed).toEqual([
    'package/LICENSE',
    'package/README.md',
    'package/bin/fluxctl.cjs',
    'package/deploy/crds/helmreleases.yaml',
    'package/dist/fluxctl/main.cjs',
    'package/dist/fluxd/store-1234.cjs',
    'package/package.json',
  ])
  expect(JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8'))).toEqual({
    name: 'fluxctl',
    version: '1.2.3',
    private: true,
    license: 'Apache-2.0',
    type: 'module',
    engines: { node: '>=20.19' },
    bin: { fluxctl: 'bin/fluxctl.cjs' },
    dependencies: { lmdb: '3.5.6' },
  })
  expect(execFileSync(process.execPath, [join(packed, 'bin/fluxctl.cjs')], { encoding: 'utf8' })).toBe(
    'packed\n',
  )
})
