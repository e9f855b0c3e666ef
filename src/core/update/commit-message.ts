import { formatImageRef } from '../image/ref.ts'
import { compareCodePoints } from '../json.ts'
import type { ResourceId } from '../resource/id.ts'
import { affectedIds, orderIds, resultError, type UpdateResult } from './result.ts'
import type { Cause, PolicyUpdates, UpdateSpec } from './spec.ts'

/**
 * Messages of the commits that fluxd makes, as Flux v1 words them (`spec/flux-v1/release.md` §4 to §8). Where v1 leaves
 * the order open, IDs are sorted, and lines go from `Automated` to `Updated policies`.
 */
export function commitMessage(update: UpdateSpec, result: UpdateResult): string {
  const { message } = update.cause
  if (update.type === 'policy') return policyMessage(update.spec, update.cause, result)
  if (message !== '') return message
  switch (update.type) {
    case 'image': {
      const workloads = (update.spec.workloads ?? []).map(trimAngles).join(', ')
      return `Release ${trimAngles(update.spec.image)} to ${workloads}`
    }
    case 'containers':
      return containersMessage(result)
    case 'auto':
      return automatedMessage(result)
    case 'sync':
      return ''
  }
}

function containersMessage(result: UpdateResult): string {
  const ids = affectedIds(result)
  const images = ids.map((id) => {
    const targets = (result.get(id)?.updates ?? []).map(({ target }) => `- ${formatImageRef(target)}\n`)
    return `\n${id}\n${targets.join('')}`
  })
  const error = resultError(result)
  return `Update image refs in ${ids.join(', ')}\n${images.join('')}${error && `\n${error}\n`}`
}

function automatedMessage(result: UpdateResult): string {
  const images = changedImages(result)
  if (images.length === 0) return 'Auto-release (no images)\n'
  if (images.length === 1) return `Auto-release ${images[0]}`
  return `Auto-release multiple (${images.length}) images\n\n${images.map((image) => ` - ${image}\n`).join('')}`
}

/** The images that an update sets, each once, in order. */
export function changedImages(result: UpdateResult): string[] {
  const targets = [...result.values()]
    .filter(({ status }) => status === 'success')
    .flatMap(({ updates }) => updates.map(({ target }) => formatImageRef(target)))
  return [...new Set(targets)].sort(compareCodePoints)
}

/** What a policy update does, in the order in which it is told. */
const policyChangeKinds = ['Automated', 'Deautomated', 'Locked', 'Unlocked', 'Updated policies'] as const

type PolicyChangeKind = (typeof policyChangeKinds)[number]

/** Which resources each kind of change concerns. */
function policyChanges(updates: PolicyUpdates | null): Map<PolicyChangeKind, ResourceId[]> {
  const changes = new Map<PolicyChangeKind, Set<ResourceId>>(
    policyChangeKinds.map((kind) => [kind, new Set()]),
  )
  for (const [id, { add, remove }] of updates ?? []) {
    for (const policy of add?.keys() ?? []) changes.get(addedKinds[policy] ?? 'Updated policies')?.add(id)
    for (const policy of remove?.keys() ?? [])
      changes.get(removedKinds[policy] ?? 'Updated policies')?.add(id)
  }
  return new Map([...changes].filter(([, ids]) => ids.size > 0).map(([kind, ids]) => [kind, orderIds(ids)]))
}

const addedKinds: Readonly<Record<string, PolicyChangeKind>> = { automated: 'Automated', locked: 'Locked' }
const removedKinds: Readonly<Record<string, PolicyChangeKind>> = {
  automated: 'Deautomated',
  locked: 'Unlocked',
}

function policyMessage(updates: PolicyUpdates | null, { message }: Cause, result: UpdateResult): string {
  const done = new Map([...(updates ?? [])].filter(([id]) => result.get(id)?.status !== 'failed'))
  const lines = [...policyChanges(done)].map(([kind, ids]) => `${kind}: ${ids.join(', ')}\n`)
  const heading = message || (lines.length > 1 ? 'Updated workload policies' : '')
  return heading ? `${heading}\n\n${lines.map((line) => `- ${line}`).join('')}` : lines.join('')
}

/** `<all latest>` without its brackets. */
function trimAngles(text: string): string {
  return text.replace(/^[<>]+|[<>]+$/g, '')
}
