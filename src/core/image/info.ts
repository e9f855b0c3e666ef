import type { ImageRef } from './ref.ts'
import { parseTimestamp, type Timestamp } from './timestamp.ts'

/** What a registry tells about one image. */
export interface ImageInfo {
  ref: ImageRef
  /** digest of the manifest, `sha256:…` */
  digest?: string
  /** digest of the configuration blob (of the first history entry, for Docker schema 1) */
  imageId?: string
  /** only the two labels that say when the image was made; see `spec/flux-v1/http-api.md` §4 */
  labels: Readonly<Record<string, string>>
  createdAt?: Date
  /** `createdAt` in full, as it goes on the wire: a `Date` ends at milliseconds; see `Timestamp` */
  createdAtText?: string
  lastFetchedAt?: Date
}

/** The labels that say when an image was made, the one that wins first. */
const timeLabels = ['org.opencontainers.image.created', 'org.label-schema.build-date'] as const

/** The time labels among all labels of an image. */
export function pickTimeLabels(labels: Readonly<Record<string, unknown>>): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of timeLabels) {
    const value = Object.hasOwn(labels, name) ? labels[name] : undefined
    if (typeof value === 'string') kept[name] = value
  }
  return kept
}

/**
 * When an image was made by its own word, for repositories of `--registry-use-labels`.
 *
 * @returns the time of the first label that can be read, and the names of those that can't (not RFC 3339)
 */
export function readLabelTime(labels: ImageInfo['labels']): {
  time: Timestamp | undefined
  unreadable: string[]
} {
  const unreadable: string[] = []
  let time: Timestamp | undefined
  for (const name of timeLabels) {
    const text = labels[name]
    if (text === undefined) continue
    const read = parseTimestamp(text)
    if (read) time ??= read
    else unreadable.push(name)
  }
  return { time, unreadable }
}
