/**
 * What we ask of SSH: keys made and read, and one key that the connections to the Git server present.
 */

export interface Fingerprint {
  /** without the algorithm's name in front */
  hash: string
  /** the picture that `ssh-keygen -lv` draws, several lines, with its last newline */
  randomArt: string
}

export interface SshKey {
  /** the file that `ssh` reads */
  privateKey: string
  /** the line for a Git host, with its newline */
  publicKey: string
  md5: Fingerprint
  sha256: Fingerprint
}

/** What kind of key to make. */
export interface SshKeyRequest {
  type: 'ed25519' | 'rsa' | 'ecdsa'
  /** of `rsa`: 2048 to 16384, 3072 by default · of `ecdsa`: 256, 384 or 521, 256 by default */
  bits: number | undefined
  /** of the private key; an ed25519 key is always in OpenSSH's own */
  format: 'openssh' | 'pem' | 'pkcs8'
  /** ends the public key's line */
  comment: string
}

export interface Ssh {
  makeKey(request: SshKeyRequest): Promise<SshKey>
  /**
   * Read a private key.
   *
   * @param source where it comes from, for the error
   * @throws FluxError `SSH_KEY_INVALID`
   */
  readKey(privateKey: string, source: string): SshKey
  /** Read a private key from a file, or `undefined` where there is none. @throws FluxError `SSH_FILE_UNREADABLE` | `SSH_KEY_INVALID` */
  readKeyFile(path: string): Promise<SshKey | undefined>
  /** From the next connection on, present this key. Connections of another key are not used again. */
  useKey(key: SshKey): Promise<void>
  /** End connections and remove the key from the disk. */
  close(): Promise<void>
}
