import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { FluxError } from '../../core/errors.ts'

/** Bounds of design §11. */
export const maxPackedBytes = 20 * 1024 * 1024
const maxUnpackedBytes = 200 * 1024 * 1024
const maxEntries = 10_000

/**
 * Look through a packed chart before helm sees it: files and folders below one folder, no links, no way out, within
 * bounds. Nothing is written.
 *
 * @param where for errors
 * @throws FluxError `CHART_INVALID`
 */
export async function checkChartArchive(bytes: Uint8Array, where: string): Promise<void> {
  const wrong = (why: string) =>
    new FluxError('CHART_INVALID', {
      what: `chart unavailable: ${where} is not a chart that can be used`,
      why,
      next: 'Package it again with `helm package`.',
    })
  if (bytes.length > maxPackedBytes) throw wrong(`It is larger than ${maxPackedBytes / 1024 / 1024} MiB.`)

  let entries = 0
  let unpacked = 0
  let hasChart = false
  let fault: string | undefined
  const parser = new Parser({
    strict: true,
    onwarn: (_code, message) => {
      fault ??= `It is not a tar archive: ${message}.`
    },
    onReadEntry(entry: ReadEntry) {
      entries++
      fault ??= faultOf(entry)
      if (entries > maxEntries) fault ??= `It holds more than ${maxEntries} files.`
      hasChart ||= /^[^/]+\/Chart\.yaml$/.test(entry.path)
      entry.resume()
    },
  })
  let over = false
  parser.on('eof', () => {
    over = true
  })
  try {
    for await (const chunk of Readable.from([Buffer.from(bytes)]).pipe(
      createGunzip({ chunkSize: 1024 * 1024 }),
    ) as AsyncIterable<Buffer>) {
      unpacked += chunk.length
      if (unpacked > maxUnpackedBytes) {
        fault ??= `Unpacked it is larger than ${maxUnpackedBytes / 1024 / 1024} MiB.`
      }
      // the parser would unpack what is packed twice, past our bounds
      if (unpacked === chunk.length && isPacked(chunk)) fault ??= 'It is packed twice.'
      if (fault || over) break
      parser.write(chunk)
    }
  } catch (error) {
    throw wrong(`It is not a gzipped tar archive: ${error instanceof Error ? error.message : error}.`)
  }
  if (fault) throw wrong(fault)
  if (!hasChart) throw wrong('It has no Chart.yaml.')
}

/** Begins like gzip or zstd. */
function isPacked(bytes: Uint8Array): boolean {
  return (bytes[0] === 0x1f && bytes[1] === 0x8b) || (bytes[0] === 0x28 && bytes[1] === 0xb5)
}

function faultOf({ path, type }: ReadEntry): string | undefined {
  const name = JSON.stringify(path.slice(0, 200))
  if (path.startsWith('/') || path.split(/[/\\]/).includes('..') || /^[A-Za-z]:/.test(path)) {
    return `${name} leads out of it.`
  }
  if (type === 'SymbolicLink' || type === 'Link') return `${name} is a link.`
  return ['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(type)
    ? undefined
    : `${name} is neither a file nor a folder.`
}
