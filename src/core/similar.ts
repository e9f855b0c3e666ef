/** What somebody may have meant: names that begin with a word, or differ from it by two letters at most. */
export function similarNames(word: string, names: readonly string[]): string[] {
  const typed = word.toLowerCase()
  return names.filter((name) => name.startsWith(typed) || editDistance(name, typed) <= 2)
}

/** How many letters to add, drop or change (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
