import { once } from 'node:events'
import { createInflate } from 'node:zlib'

/**
 * Header blocks of SPDY/3.1: name and value pairs, compressed by one zlib stream for each direction of a connection,
 * which starts from a dictionary that both sides know.
 *
 * @see https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/#TOC-2.6.10-Name-Value-Header-Block
 */

const lengthPrefixedWords =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
  'authorization cache-control connection content-base content-encoding content-language content-length ' +
  'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
  'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie ' +
  'keep-alive origin'
const plainText =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 ' +
  'Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 ' +
  'Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May ' +
  'Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,' +
  'image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=' +
  'gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.'

const headerDictionary = Buffer.concat([
  ...lengthPrefixedWords.split(' ').map((word) => lengthPrefixed(word.replace('_', ' '))),
  Buffer.from(plainText),
])
/** Adler-32 of the dictionary, by which a zlib stream names it. */
const dictionaryId = 0xe3c6a7c2

const mostHeaders = 64
const longestText = 16 << 10

/**
 * A reader of one direction: give it each compressed block in turn, and it gives the headers, names in lower case.
 *
 * @throws Error of blocks that are not what they should be, or far longer than a port-forward's
 */
export function createHeaderReader(): (block: Buffer) => Promise<Map<string, string>> {
  const inflate = createInflate({ dictionary: headerDictionary })
  inflate.on('error', () => {}) // told to whoever takes
  const take = async (length: number): Promise<Buffer> => {
    if (length === 0) return Buffer.alloc(0)
    if (length > longestText) throw new Error('a header is too long')
    for (;;) {
      const bytes = inflate.read(length) as Buffer | null
      if (bytes !== null) return bytes
      if (inflate.errored) throw inflate.errored
      await once(inflate, 'readable')
    }
  }
  const takeNumber = async () => (await take(4)).readUInt32BE()
  const takeText = async () => (await take(await takeNumber())).toString('latin1')
  return async (block) => {
    inflate.write(block)
    const headers = new Map<string, string>()
    const count = await takeNumber()
    if (count > mostHeaders) throw new Error('there are too many headers')
    for (let index = 0; index < count; index++) {
      const name = await takeText()
      headers.set(name.toLowerCase(), await takeText())
    }
    return headers
  }
}

/** A writer of one direction. It stores and never compresses: what a server answers is a few bytes. */
export function createHeaderWriter(): (headers: Iterable<[string, string]>) => Buffer {
  // deflate with a dictionary, which is then not used
  let opening = Buffer.concat([Buffer.from([0x78, 0x20]), number(dictionaryId)])
  return (headers) => {
    const pairs = [...headers]
    const block = Buffer.concat([
      number(pairs.length),
      ...pairs.flatMap(([name, value]) => [lengthPrefixed(name), lengthPrefixed(value)]),
    ])
    // readers wait for an empty part before they look at what came: zlib's "sync flush"
    const bytes = Buffer.concat([opening, stored(block), stored(Buffer.alloc(0))])
    opening = Buffer.alloc(0)
    return bytes
  }
}

/** A part of a zlib stream as it is: "not the last, stored", its length, and that inverted. */
function stored(bytes: Buffer): Buffer {
  const opening = Buffer.alloc(5)
  opening.writeUInt16LE(bytes.length, 1)
  opening.writeUInt16LE(~bytes.length & 0xffff, 3)
  return Buffer.concat([opening, bytes])
}

function lengthPrefixed(text: string): Buffer {
  return Buffer.concat([number(text.length), Buffer.from(text, 'latin1')])
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
