/**
 * Whether a whole text fits a pattern in which `*` stands for any run of characters, also none, and nothing else is
 * special. Each piece is sought once, from the left, so that time grows with the length of the text alone.
 */
export function globMatches(pattern: string, text: string): boolean {
  const [head = '', ...pieces] = pattern.split('*')
  const tail = pieces.pop()
  if (tail === undefined) return text === pattern
  if (!text.startsWith(head) || !text.endsWith(tail)) return false
  const end = text.length - tail.length
  let at = head.length
  for (const piece of pieces) {
    const found = text.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return at <= end
}
