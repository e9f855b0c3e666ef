import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { basename, dirname } from 'node:path'
import { FluxError } from '../../core/errors.ts'

/**
 * A lock that ends with its process, however that ends: a Unix socket that its holder listens on. Who finds a socket
 * on which nobody answers takes it over. Unlike a process ID in a file, this also holds between containers that
 * share a volume.
 */
export interface Lock {
  release(): Promise<void>
}

/** @param path of the socket to be @throws FluxError `STORE_LOCKED` */
export async function takeLock(path: string): Promise<Lock> {
  // a socket's path has at most 107 bytes, a folder's may have more: /proc names it shortly
  const folder = await open(dirname(path), 'r')
  const short = process.platform === 'linux' ? `/proc/self/fd/${folder.fd}/${basename(path)}` : path
  const mark = randomBytes(16).toString('hex')
  try {
    if (await readMark(short)) throw locked(path)
    const server = await listen(short, mark)
    // of two that took it over at once, one is still there under its name
    if ((await readMark(short)) !== mark) {
      server.close()
      throw locked(path)
    }
    return { release: () => releaseLock(server, folder, short) }
  } catch (thrown) {
    await folder.close()
    throw thrown
  }
}

/** Listen beside the place, then move there: what stands there of a dead holder is replaced at once. */
async function listen(path: string, mark: string): Promise<Server> {
  const own = `${path}.${mark.slice(0, 8)}`
  const server = createServer((socket) => socket.on('error', () => {}).end(mark))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(own, resolve)
  })
  server.unref()
  await rename(own, path)
  return server
}

/** What a living holder answers; `undefined`: there is none. */
function readMark(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    let text = ''
    socket.setEncoding('utf8').setTimeout(2_000, () => {
      socket.destroy()
      resolve('silent') // it listens
    })
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => resolve(text))
    socket.on('error', () => resolve(undefined))
  })
}

async function releaseLock(server: Server, folder: FileHandle, path: string): Promise<void> {
  await rm(path, { force: true })
  await new Promise<void>((resolve) => server.close(() => resolve()))
  await folder.close()
}

function locked(path: string): FluxError {
  return new FluxError('STORE_LOCKED', {
    what: `another process holds the image store ${dirname(path)}`,
    why: 'One store has one holder.',
    next: 'Run one replica, with the strategy Recreate, or give each fluxd a --registry-cache-dir of its own.',
  })
}
