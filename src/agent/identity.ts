import type { PublicKey } from '../api/values.ts'

/** The key pair that fluxd presents to Git. */
export interface Identity {
  publicKey(): Promise<PublicKey>
  /** Make a new pair; the old one stops working. */
  regenerate(): Promise<void>
}

/** Without a key of our own: the repository is reached over HTTP, or by the ssh program's own keys. */
export const noIdentity: Identity = {
  publicKey: async () => ({ key: '' }),
  // v1 answers a request for a new key in this case with the empty one, and so do we
  regenerate: async () => {},
}
