import { readLabelTime } from '../core/image/info.ts'
import { subMillisecondNs } from '../core/image/timestamp.ts'
import { compareCodePoints } from '../core/json.ts'
import { isCandidate } from '../core/policy/choose.ts'
import { globMatches } from '../core/policy/glob.ts'
import type { TagPattern } from '../core/policy/pattern.ts'
import type { ImageProblem, ImageStore } from '../ports/image-store.ts'
import type { ImageFacts } from '../ports/registry.ts'

/**
 * What choosing an image takes of each tag, in memory: some forty bytes a tag beside its name, where reading it from
 * the store takes two records. A table is made when it is first asked for; then only what has changed is read.
 */
interface TagTables {
  of(name: string): TagTable
}

export interface TagTable {
  /** in the order of code points */
  readonly names: readonly string[]
  /** places in `names`; -1: not listed */
  placeOf(tag: string): number
  /** milliseconds since 1970; NaN: never */
  readonly fetchedAtMs: Float64Array
  readonly dueAtMs: Float64Array
  /** places of tags that have a problem */
  troubled(): number[]
  hasProblem(place: number): boolean
  /** places of what a choice by this pattern turns on: the best image, and the first whose time may matter and isn't known */
  decisive(pattern: TagPattern): readonly number[]
}

interface Table extends TagTable {
  store: ImageProblem | undefined
  createdAtMs: Float64Array
  createdAtNs: Float64Array
  flags: Uint8Array
}

const hasFacts = 1
const hasTrouble = 2
/** of all tables together; those that were not asked for the longest go first */
const keptTags = 200_000

export function createTagTables(store: ImageStore, useLabels: readonly string[]): TagTables {
  const tables = new Map<string, Table>()
  const changed = new Map<string, Set<string>>()
  store.onTagChange((name, tag) => {
    if (tables.has(name)) changed.set(name, (changed.get(name) ?? new Set()).add(tag))
  })

  const read = (name: string, names: readonly string[], before: Table | undefined): Table => {
    const table = emptyTable(names, store.problem())
    const old = before && before.store === table.store ? before : undefined
    const places = new Map(old?.names.map((tag, place) => [tag, place]))
    const anew = changed.get(name)
    const byLabel = useLabels.some((glob) => globMatches(glob, name))
    for (const [place, tag] of names.entries()) {
      const from = anew?.has(tag) ? undefined : places.get(tag)
      if (old && from !== undefined) copy(old, from, table, place)
      else fill(table, place, { store, name, tag, byLabel })
    }
    return table
  }

  const keep = (name: string, table: Table) => {
    tables.set(name, table)
    let sum = 0
    for (const { names } of tables.values()) sum += names.length
    for (const [other, { names }] of tables) {
      if (sum <= keptTags || other === name) return
      sum -= names.length
      tables.delete(other)
      changed.delete(other)
    }
  }

  return {
    of(name) {
      const known = tables.get(name)
      const names = store.tagNames(name)
      const isCurrent = known?.names === names && known.store === store.problem() && !changed.has(name)
      if (known && isCurrent) return known
      const table = read(name, names, known)
      changed.delete(name)
      tables.delete(name)
      keep(name, table)
      return table
    },
  }
}

function emptyTable(names: readonly string[], store: ImageProblem | undefined): Table {
  const flags = new Uint8Array(names.length)
  const chosen = new Map<string, readonly number[]>()
  const table: Table = {
    store,
    names,
    flags,
    createdAtMs: new Float64Array(names.length),
    createdAtNs: new Float64Array(names.length),
    fetchedAtMs: new Float64Array(names.length),
    dueAtMs: new Float64Array(names.length),
    placeOf: (tag) => search(names, tag),
    troubled: () => [...names.keys()].filter((place) => table.hasProblem(place)),
    hasProblem: (place) => ((flags[place] ?? 0) & hasTrouble) !== 0,
    decisive(pattern) {
      const known = chosen.get(pattern.text)
      if (known) return known
      const places = pattern.needsTimestamps ? chooseByTime(table, pattern) : chooseByName(names, pattern)
      chosen.set(pattern.text, places)
      return places
    },
  }
  return table
}

function copy(from: Table, place: number, to: Table, at: number): void {
  to.flags[at] = from.flags[place] ?? 0
  for (const column of ['createdAtMs', 'createdAtNs', 'fetchedAtMs', 'dueAtMs'] as const) {
    to[column][at] = from[column][place] ?? Number.NaN
  }
}

function fill(
  table: Table,
  place: number,
  { store, name, tag, byLabel }: { store: ImageStore; name: string; tag: string; byLabel: boolean },
): void {
  const known = store.getTag(name, tag) ?? {}
  const facts = known.digest === undefined ? undefined : store.getFacts(known.digest)
  const { createdAt, createdAtText } = facts && byLabel ? datedByLabel(facts) : (facts ?? {})
  table.flags[place] = (facts ? hasFacts : 0) | (known.problem ? hasTrouble : 0)
  table.createdAtMs[place] = createdAt?.getTime() ?? Number.NaN
  table.createdAtNs[place] = subMillisecondNs(createdAtText ?? '')
  table.fetchedAtMs[place] = known.fetchedAtMs ?? Number.NaN
  table.dueAtMs[place] = known.dueAtMs ?? Number.NaN
}

function chooseByName(names: readonly string[], pattern: TagPattern): number[] {
  let best: { place: number; image: Parameters<TagPattern['compare']>[0] } | undefined
  for (const [place, tag] of names.entries()) {
    if (!isCandidate(tag, pattern)) continue
    const image = { ref: { repository: 'x', tag }, labels: {} }
    if (!best || pattern.compare(image, best.image) < 0) best = { place, image }
  }
  return best ? [best.place] : []
}

/** As `newestFirst`; names are in order, so that the first of equal ones stays. */
function chooseByTime({ names, flags, createdAtMs, createdAtNs }: Table, pattern: TagPattern): number[] {
  let best: number | undefined
  for (const [place, tag] of names.entries()) {
    if (!isCandidate(tag, pattern)) continue
    // nothing else matters then
    if (((flags[place] ?? 0) & hasFacts) === 0) return [place]
    const ms = createdAtMs[place] ?? Number.NaN
    const bestMs = best === undefined ? Number.NaN : (createdAtMs[best] ?? Number.NaN)
    const isLater =
      ms > bestMs || (ms === bestMs && (createdAtNs[place] ?? 0) > (createdAtNs[best ?? 0] ?? 0))
    if (best === undefined || isLater || (Number.isNaN(bestMs) && !Number.isNaN(ms))) best = place
  }
  return best === undefined ? [] : [best]
}

function search(names: readonly string[], tag: string): number {
  let low = 0
  let high = names.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const order = compareCodePoints(names[middle] ?? '', tag)
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return -1
}

/** What an image says of itself, with the time that its label says, where that can be read. */
export function datedByLabel(facts: ImageFacts): ImageFacts {
  const { time } = readLabelTime(facts.labels)
  return time ? { ...facts, createdAt: time.date, createdAtText: time.text } : facts
}
