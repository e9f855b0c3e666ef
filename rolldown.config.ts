import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BuildOptions, Plugin } from 'rolldown'

/**
 * Each program becomes a folder below `dist`: CommonJS, since that starts fastest, cut where the sources import
 * lazily. Not minified, so that a stack in a report can be read.
 */
const programs = {
  fluxctl: 'src/cli/main.ts',
  fluxd: 'src/agent/main.ts',
  'helm-operator': 'src/operator/main.ts',
}

/** Without a version the programs call themselves `unversioned`, as their sources do. */
export function bundles(folder: string, version?: string): BuildOptions[] {
  const define = version === undefined ? {} : { PACKAGE_VERSION: JSON.stringify(version) }
  return Object.entries(programs).map(([program, main]) => ({
    input: { main },
    platform: 'node',
    external: ['lmdb'], // native code
    transform: { target: 'node20.19', define },
    plugins: [withoutNativeCode(), thirdPartyNotices()],
    output: {
      dir: `${folder}/${program}`,
      cleanDir: true,
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name]-[hash].cjs',
    },
  }))
}

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

export default bundles('dist', version)

/** `ssh2` runs as plain JavaScript where its native parts can't be loaded. */
function withoutNativeCode(): Plugin {
  return {
    name: 'without-native-code',
    resolveId: (id) => (/\.node$|^cpu-features$/.test(id) ? '\0native' : undefined),
    load: (id) => (id === '\0native' ? "throw new Error('native code is not bundled')" : undefined),
  }
}

/** Puts the licences of what is bundled beside it, as they ask. */
function thirdPartyNotices(): Plugin {
  return {
    name: 'third-party-notices',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
      const folders = new Set(
        modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0] ?? []),
      )
      const notices = [...folders].map(noticeOf).sort()
      this.emitFile({
        type: 'asset',
        fileName: 'third-party.txt',
        source: notices.join(`\n${'-'.repeat(78)}\n\n`),
      })
    },
  }
}

function noticeOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((file) => /^(licen[cs]e|copying)/i.test(file))
  const text = file === undefined ? '' : `\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  return `${name} ${version} (${license})\n${text}`
}
