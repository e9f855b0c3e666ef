import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import { FluxError } from '../../core/errors.ts'
import type { SshKey, SshKeyRequest } from '../../ports/ssh.ts'
import { drawRandomArt } from './random-art.ts'

/**
 * SSH keys, made and read in process: no `ssh-keygen` is needed.
 *
 * Private keys are read in OpenSSH's own format and as PEM (PKCS#1, SEC1, PKCS#8); one behind a passphrase is of no
 * use here, for nobody is there to type it. Public keys, fingerprints and pictures are those of `ssh-keygen`.
 *
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 * @see https://www.rfc-editor.org/rfc/rfc4253#section-6.6, RFC 5656 §3.1 (ECDSA), RFC 8709 (Ed25519)
 */

const generate = promisify(generateKeyPair)

const armour = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/
const magic = Buffer.from('openssh-key-v1\0')
/** Everything encrypted is padded to this size; without a cipher too. */
const blockSize = 8

/** The curves of ECDSA keys: Node's name, SSH's, size. */
const curves = [
  { jwk: 'P-256', ssh: 'nistp256', bits: 256 },
  { jwk: 'P-384', ssh: 'nistp384', bits: 384 },
  { jwk: 'P-521', ssh: 'nistp521', bits: 521 },
]

/** How many fields stand between the type of a private key and its comment. */
const privateFields: Record<string, number> = { 'ssh-ed25519': 2, 'ssh-rsa': 6 }

/** Make a new key pair. */
export async function makeSshKey({ type, bits, format, comment }: SshKeyRequest): Promise<SshKey> {
  const { privateKey } =
    type === 'rsa'
      ? await generate('rsa', { modulusLength: bits ?? 3072 })
      : type === 'ecdsa'
        ? await generate('ec', { namedCurve: `P-${bits ?? 256}` })
        : await generate('ed25519')
  const jwk = privateKey.export({ format: 'jwk' })
  const blob = publicBlob(jwk)
  const text =
    format === 'openssh' || type === 'ed25519'
      ? formatOpenSsh(blob, privateParts(jwk), comment)
      : privateKey.export({
          format: 'pem',
          type: format === 'pkcs8' ? 'pkcs8' : type === 'rsa' ? 'pkcs1' : 'sec1',
        })
  return describeKey(text.toString(), blob, comment)
}

/**
 * Read a private key.
 *
 * @param source where it comes from, for the error
 * @throws FluxError `SSH_KEY_INVALID`
 */
export function readSshKey(privateKey: string, source: string): SshKey {
  const text = `${privateKey.replace(/\r\n?/g, '\n').trim()}\n`
  try {
    const packed = armour.exec(text)?.[1]
    if (packed !== undefined) {
      const { blob, comment } = readOpenSsh(Buffer.from(packed, 'base64'))
      return describeKey(text, blob, comment)
    }
    if (/ENCRYPTED/.test(text)) throw new Error('it is protected by a passphrase')
    const jwk = createPublicKey(asPrivateKey(text)).export({ format: 'jwk' })
    return describeKey(text, publicBlob(jwk), '')
  } catch (error) {
    throw new FluxError('SSH_KEY_INVALID', {
      what: `reading the SSH key ${source}: ${error instanceof Error ? error.message : error}`,
      why: 'fluxd reads private keys without a passphrase, in OpenSSH’s format or as PEM.',
      next: 'Put such a key there (ed25519, RSA or ECDSA), or take it away: fluxd then makes one.',
      cause: error,
    })
  }
}

function asPrivateKey(text: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (cause) {
    throw new Error('it is not a private key', { cause })
  }
}

function describeKey(privateKey: string, blob: Buffer, comment: string): SshKey {
  const { type, title } = identify(blob)
  const md5 = createHash('md5').update(blob).digest()
  const sha256 = createHash('sha256').update(blob).digest()
  return {
    privateKey,
    publicKey: `${[type, blob.toString('base64'), comment].filter(Boolean).join(' ')}\n`,
    md5: {
      hash: md5.toString('hex').replace(/..(?=.)/g, '$&:'),
      randomArt: drawRandomArt(md5, title, 'MD5'),
    },
    sha256: {
      hash: sha256.toString('base64').replace(/=+$/, ''),
      randomArt: drawRandomArt(sha256, title, 'SHA256'),
    },
  }
}

/** The type of a public key, and the title of its picture such as `RSA 3072`. */
function identify(blob: Buffer): { type: string; title: string } {
  const fields = fieldsOf(blob)
  const type = fields.text()
  if (type === 'ssh-ed25519') return { type, title: 'ED25519 256' }
  if (type === 'ssh-rsa') {
    fields.bytes()
    return { type, title: `RSA ${bitLength(fields.bytes())}` }
  }
  const curve = curves.find(({ ssh }) => type === `ecdsa-sha2-${ssh}`)
  if (!curve) throw new Error(`keys of type ${JSON.stringify(type)} are not supported`)
  return { type, title: `ECDSA ${curve.bits}` }
}

// ---- OpenSSH's format

function readOpenSsh(bytes: Buffer): { blob: Buffer; comment: string } {
  if (!bytes.subarray(0, magic.length).equals(magic)) throw new Error('it is not a private key')
  const fields = fieldsOf(bytes.subarray(magic.length))
  if (fields.text() !== 'none') throw new Error('it is protected by a passphrase')
  fields.bytes() // how the passphrase becomes a key
  fields.bytes()
  if (fields.number() !== 1) throw new Error('there is more than one key in it')
  const blob = fields.bytes()
  const { type } = identify(blob)
  const secret = fieldsOf(fields.bytes())
  const [check, again] = [secret.number(), secret.number()]
  if (check !== again || secret.text() !== type) throw new Error('it is damaged')
  for (let left = privateFields[type] ?? 3; left > 0; left--) secret.bytes()
  return { blob, comment: secret.text() }
}

function formatOpenSsh(blob: Buffer, parts: readonly Buffer[], comment: string): string {
  const check = randomBytes(4)
  const { type } = identify(blob)
  const secret = Buffer.concat([check, check, field(type), ...parts.map(field), field(comment)])
  const padding = Array.from({ length: -secret.length & (blockSize - 1) }, (_, index) => index + 1)
  const bytes = Buffer.concat([
    magic,
    field('none'),
    field('none'),
    field(''),
    number(1),
    field(blob),
    field(Buffer.concat([secret, Buffer.from(padding)])),
  ])
  const lines = bytes.toString('base64').replace(/.{70}/g, '$&\n').trimEnd()
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`
}

/** The public key as it goes over the wire. */
function publicBlob(jwk: JsonWebKey): Buffer {
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return join('ssh-ed25519', base64(jwk.x))
  if (jwk.kty === 'RSA') return join('ssh-rsa', integer(jwk.e), integer(jwk.n))
  const curve = curves.find(({ jwk: name }) => jwk.kty === 'EC' && jwk.crv === name)
  if (!curve) throw new Error('keys of its type are not supported')
  return join(`ecdsa-sha2-${curve.ssh}`, curve.ssh, point(jwk))
}

/** What stands between the type and the comment of a private key. */
function privateParts(jwk: JsonWebKey): Buffer[] {
  if (jwk.kty === 'OKP') return [base64(jwk.x), Buffer.concat([base64(jwk.d), base64(jwk.x)])]
  if (jwk.kty === 'RSA') return [jwk.n, jwk.e, jwk.d, jwk.qi, jwk.p, jwk.q].map(integer)
  const curve = curves.find(({ jwk: name }) => jwk.crv === name)
  return [Buffer.from(curve?.ssh ?? ''), point(jwk), integer(jwk.d)]
}

// ---- fields of RFC 4251 §5

function fieldsOf(bytes: Buffer) {
  let at = 0
  const take = (length: number) => {
    if (at + length > bytes.length) throw new Error('it is cut off')
    at += length
    return bytes.subarray(at - length, at)
  }
  const readNumber = () => take(4).readUInt32BE()
  const readBytes = () => take(readNumber())
  return { number: readNumber, bytes: readBytes, text: () => readBytes().toString('utf8') }
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([number(bytes.length), bytes])
}

function join(...values: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(values.map(field))
}

function base64(text = ''): Buffer {
  return Buffer.from(text, 'base64url')
}

/** A number that is never negative: no zeros in front, but for one where the first bit is set. */
function integer(text: string | undefined): Buffer {
  const bytes = base64(text)
  const first = bytes.findIndex((byte) => byte !== 0)
  const short = first < 0 ? Buffer.alloc(0) : bytes.subarray(first)
  return (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), short]) : short
}

/** An uncompressed point of a curve. */
function point({ x, y }: JsonWebKey): Buffer {
  return Buffer.concat([Buffer.from([4]), base64(x), base64(y)])
}

function bitLength(bytes: Buffer): number {
  const first = bytes.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
}
