import { FluxError } from '../core/errors.ts'
import type { UpdateResult } from '../core/update/result.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import { fieldsOf, formatWire, parseBody, readText } from './json.ts'
import { readEchoedSpec, readUpdateResult } from './read.ts'
import { updateResultToWire, updateSpecToWire } from './write.ts'

/**
 * What fluxd writes down about a commit that it made: one JSON object as the commit's Git note. By it a restarted
 * fluxd finds its jobs again, and a sync tells what a commit was (`spec/flux-v1/sync.md` §2).
 */
export interface Note {
  jobId: string
  spec: UpdateSpec
  /** absent for policy updates, as in Flux v1 */
  result?: UpdateResult | undefined
  /** given by whoever asked, so that asking again finds this commit; the original has none */
  requestId?: string | undefined
}

export function formatNote({ jobId, spec, result, requestId }: Note): string {
  return formatWire({
    jobID: jobId,
    spec: updateSpecToWire(spec),
    result: result && spec.type !== 'policy' ? updateResultToWire(result) : null,
    ...(requestId && { requestID: requestId }),
  })
}

/** A note of this fluxd or of an original one; `undefined` for a text that is none, such as a person's own note. */
export function readNote(text: string): Note | undefined {
  try {
    const field = fieldsOf(parseBody(text), 'the note')
    const requestId = readText(field('requestID'), 'requestID')
    return {
      jobId: readText(field('jobID'), 'jobID'),
      spec: readEchoedSpec(field('spec')),
      result: readUpdateResult(field('result')),
      ...(requestId && { requestId }),
    }
  } catch (thrown) {
    if (thrown instanceof FluxError) return undefined
    throw thrown
  }
}
