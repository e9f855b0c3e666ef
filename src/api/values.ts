import type { ImageRef } from '../core/image/ref.ts'

/** What only the two ends of the wire speak about, in our own words. */

export interface Fingerprint {
  /** without the algorithm's name in front */
  hash: string
  /** the picture, several lines */
  randomArt: string
}

/** An SSH public key; empty, and without fingerprints, where fluxd has none. */
export interface PublicKey {
  /** the key's line, with its newline */
  key: string
  md5?: Fingerprint
  sha256?: Fingerprint
}

export interface GitConfig {
  /** without its password */
  url: string
  branch: string
  /** the configured paths, joined by commas */
  path: string
  publicKey: PublicKey
  /** `unconfigured`, `new`, `cloned`, `ready`, `unreachable` */
  status: string
  /** why the repository isn't ready; empty otherwise */
  error: string
}

/** News that fluxd is told of: a repository or an image name that changed. */
export type Change = { kind: 'git'; url: string; branch: string } | { kind: 'image'; image: ImageRef }
