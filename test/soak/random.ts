/** Chances that come out the same for the same seed. */
export interface Chances {
  /** in [from, to) */
  between(from: number, to: number): number
  /** a whole number in [0, count) */
  below(count: number): number
  pick<T>(choices: readonly T[]): T
  /** true in so many of a hundred cases */
  percent(share: number): boolean
  /** chances of their own, for one who acts beside others */
  branch(): Chances
}

/** mulberry32: 32 bits of state, enough to scatter moments and choices. */
export function chancesFrom(seed: number): Chances {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number) => Math.floor(next() * count)
  return {
    between: (from, to) => from + next() * (to - from),
    below,
    pick(choices) {
      const chosen = choices[below(choices.length)]
      if (chosen === undefined) throw new Error('nothing to choose from')
      return chosen
    },
    percent: (share) => next() * 100 < share,
    branch: () => chancesFrom(Math.floor(next() * 2 ** 32)),
  }
}
