/**
 * Names of refs, checked before git sees them: what passes is never an option and never a range.
 *
 * The rules are those of `git check-ref-format`.
 *
 * @see https://git-scm.com/docs/git-check-ref-format
 */
export function isRefName(name: string): boolean {
  if (name === '' || name === '@' || name.startsWith('-') || name.endsWith('.')) return false
  if (/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{/.test(name)) return false
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
}

/** Whether a text is a full hash, SHA-1 or SHA-256. */
export function isFullHash(text: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text)
}

/** The full name of a notes ref, as `git notes --ref` reads it: `flux` is `refs/notes/flux`. */
export function notesRefName(ref: string): string {
  if (ref.startsWith('refs/notes/')) return ref
  return ref.startsWith('notes/') ? `refs/${ref}` : `refs/notes/${ref}`
}
