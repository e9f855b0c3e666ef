import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatWire } from '../../../src/api/json.ts'
import { formatNote, readNote } from '../../../src/api/note.ts'
import { readControllerStatuses, readImageStatuses, readJobStatus } from '../../../src/api/read.ts'
import { updateResultToWire } from '../../../src/api/write.ts'
import type { ImageInfo } from '../../../src/core/image/info.ts'
import { canonicalName, formatImageRef, type ImageRef } from '../../../src/core/image/ref.ts'
import type { ListedImage } from '../../../src/core/listing.ts'
import { parseResourceId, type ResourceId } from '../../../src/core/resource/id.ts'
import { commitMessage } from '../../../src/core/update/commit-message.ts'
import { planContainersRelease, planImageRelease } from '../../../src/core/update/plan.ts'
import type { UpdateResult } from '../../../src/core/update/result.ts'
import type { ClusterWorkload, GitWorkload } from '../../../src/core/update/select.ts'

/** Releases that the original made in its recorded world, planned again from what it said of that world. */

interface Recording {
  response?: { body: string }
  jobStatusesSeen?: { body: string }[]
  /** of a run of fluxctl */
  http?: { path: string; responseBody: string }[]
  agent?: string
  git?: { commitsMade?: { message: string; note?: string | null }[] }
}

const fixtures = 'test/fixtures/recordings'
const readRecording = (path: string) => JSON.parse(readFileSync(join(fixtures, path), 'utf8')) as Recording
const bodyOf = (path: string): unknown => JSON.parse(readRecording(path).response?.body ?? 'null')

const listings = readControllerStatuses(bodyOf('http/services--v6-all.json'))
const images = new Map<string, ImageInfo[]>()
for (const { containers } of readImageStatuses(bodyOf('http/images--v10-all-by-spec.json'))) {
  for (const { available = [] } of containers) {
    const infos = available.flatMap(readInfo)
    const first = infos[0]
    if (first) images.set(canonicalName(first.ref), infos)
  }
}
const known = (like: ImageRef) => images.get(canonicalName(like))

function readInfo({ ref, digest, createdAt }: ListedImage): ImageInfo[] {
  if (!ref) return []
  const time = createdAt && { createdAt: new Date(createdAt), createdAtText: createdAt }
  return [{ ref, labels: {}, ...(digest && { digest }), ...time }]
}

const cluster = new Map<ResourceId, ClusterWorkload>(
  listings.map(({ id, containers, ignore }) => [
    id,
    {
      ignored: ignore,
      containers: containers.map(({ name, current: { ref } }) => ({
        name,
        ...(ref && { image: ref }),
        imageText: ref ? formatImageRef(ref) : '',
        init: false,
      })),
    },
  ]),
)

/** Git held these workloads at the base; the original names all of them in every result. */
function workloadsOf(ids: Iterable<ResourceId>): ReadonlyMap<ResourceId, GitWorkload> {
  return new Map(
    [...ids].map((id) => {
      const policies = listings.find((listing) => listing.id === id)?.policies ?? new Map<string, string>()
      return [id, { policies, containers: cluster.get(id)?.containers ?? [] }]
    }),
  )
}

const commits = ['cli', 'http'].flatMap((folder) =>
  readdirSync(join(fixtures, folder)).flatMap((file) =>
    (readRecording(`${folder}/${file}`).git?.commitsMade ?? []).flatMap(({ message, note }, index) => {
      const read = readNote(note ?? '')
      return note && read ? [{ name: `${file} ${index}`, message, note: note.trimEnd(), read }] : []
    }),
  ),
)

/** What jobs came to at the base of the world, dry runs among them. */
const jobs = ['cli', 'http'].flatMap((folder) =>
  readdirSync(join(fixtures, folder)).flatMap((file) => {
    const { jobStatusesSeen = [], http = [], agent = 'original' } = readRecording(`${folder}/${file}`)
    const last = http.findLast(({ path }) => path.endsWith('/jobs'))?.responseBody
    const body = jobStatusesSeen.at(-1)?.body ?? last
    // these ran in another world
    if (!body?.startsWith('{') || agent === 'stub' || /^(allowed-namespaces|scanning-disabled)/.test(file))
      return []
    const { spec, result } = readJobStatus(JSON.parse(body))
    return spec && result ? [{ name: file, spec, result }] : []
  }),
)

test('there is something to compare', () => {
  expect(commits.length).toBeGreaterThan(50)
  expect(jobs.filter(({ spec }) => spec.type === 'image').length).toBeGreaterThan(30)
})

describe('notes', () => {
  test.each(commits)('$name is printed as it was read', ({ note, read }) => {
    expect(formatNote(read)).toBe(note.replaceAll('"Current":"",', ''))
  })
})

describe('messages', () => {
  const sorted = (message: string) => message.split('\n').sort().join('\n')
  test.each(commits)('$name', ({ message, read }) => {
    const { spec, result } = read

    // the original leaves the order of a policy commit's lines open, and its trailing newline is Git's
    expect(sorted(`${commitMessage(spec, result ?? new Map()).trimEnd()}\n`)).toBe(sorted(message))
  })
})

describe('releases', () => {
  const releases = jobs.filter(({ spec }) => spec.type === 'image' || spec.type === 'containers')
  /** ours releases digests: see the test of its own */
  const digest = parseResourceId('prod:deployment/digest')

  test.each(releases)('$name comes to the same results', ({ spec, result }) => {
    const inGit = [...result].filter(([, { error }]) => error !== 'not found in repository').map(([id]) => id)
    const workloads = { git: workloadsOf(inGit), cluster }

    const { results } =
      spec.type === 'image'
        ? planImageRelease(spec.spec, workloads, known)
        : planContainersRelease(spec.type === 'containers' ? spec.spec : never(spec), workloads)

    const print = (of: UpdateResult) => {
      const { [digest]: _, ...others } = updateResultToWire(of)
      return formatWire(others)
    }
    expect(print(withCurrents(results, result))).toBe(print(result))
  })
})

/** Ours tells what ran before also where nobody said so. */
function withCurrents(results: UpdateResult, recorded: UpdateResult): UpdateResult {
  return new Map(
    [...results].map(([id, result]) => {
      const updates = result.updates.map(({ container, current, target }) => {
        const said = recorded.get(id)?.updates.find((update) => update.container === container)?.current
        return { container, target, ...(said && current && { current }) }
      })
      return [id, { ...result, updates }]
    }),
  )
}

function never(value: unknown): never {
  throw new Error(`unexpected ${String(value)}`)
}
