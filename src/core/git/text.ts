/**
 * Texts that people send and commits carry. What leaves here can't end a header line early, smuggle in another one,
 * or fail `git fsck --strict`.
 *
 * Follows `spec/decisions.md`, "texts in commits". Messages are tidied as `git commit` tidies them, so that a commit
 * has the bytes that the original would have written.
 */

/** The most bytes a commit message may have. */
export const maxMessageBytes = 16 * 1024

const cutMark = '[cut: the message was longer than 16 KiB]'

/** A name or an address without what could end it early: NUL, line ends, `<`, `>`. */
export function cleanIdentityText(text: string): string {
  return text.replace(/[\0\r\n<>]/g, '').trim()
}

/**
 * A message with LF line ends, without NUL, trailing blanks and superfluous empty lines, ending in one newline, of at
 * most 16 KiB. A longer one is cut and says so; a last block of trailers (`Key: value`) is kept.
 */
export function cleanMessage(text: string): string {
  const tidy = text
    .replace(/\0/g, '')
    .replace(/\r\n?/g, '\n')
    .split('\n')
    .map(withoutTrailingBlanks)
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+/, '')
    .replace(/\n{1,2}$/, '')
  const whole = tidy === '' ? '' : `${tidy}\n`
  if (Buffer.byteLength(whole) <= maxMessageBytes) return whole

  const lastBlock = tidy.lastIndexOf('\n\n')
  const trailers = lastBlock < 0 ? '' : tidy.slice(lastBlock)
  const kept =
    trailers.length <= 2048 && /^\n\n([A-Za-z0-9-]+: [^\n]*(\n|$))+$/.test(trailers) ? trailers : ''
  const ending = `\n\n${cutMark}${kept}\n`
  const body = tidy.slice(0, tidy.length - kept.length)
  return `${cutBytes(body, maxMessageBytes - Buffer.byteLength(ending)).trimEnd()}${ending}`
}

function withoutTrailingBlanks(line: string): string {
  let end = line.length
  while (end > 0 && ' \t\f\v'.includes(line.charAt(end - 1))) end--
  return line.slice(0, end)
}

/** At most so many bytes of UTF-8: whole lines where they are short, whole characters in any case. */
function cutBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  let end = Math.min(maxBytes, bytes.length)
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  const lineEnd = bytes.lastIndexOf(0x0a, end)
  return bytes.toString('utf8', 0, end - lineEnd < 512 ? Math.max(lineEnd, 0) : end)
}
