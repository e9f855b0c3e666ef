import { formatImageRef } from '../../core/image/ref.ts'
import { formatJson, type JsonValue } from '../../core/json.ts'
import { orderIds } from '../../core/update/result.ts'
import type { Finish } from '../change.ts'
import { escapeLine } from './text.ts'

/** What `-o json` prints of a finished change: one document on one line. */
export function formatChange({ id, job, applied, outcome }: Finish): string {
  const { revision = null, result } = job
  const workloads = orderIds(result?.keys() ?? []).map((workload): JsonValue => {
    const { status = '', error = null, updates = [] } = result?.get(workload) ?? {}
    return {
      id: workload,
      status,
      reason: error,
      updates: updates.map(({ container, current, target }) => ({
        container,
        from: current ? formatImageRef(current) : null,
        to: formatImageRef(target),
      })),
    }
  })
  return `${escapeLine(formatJson({ outcome, job: id, revision, applied, workloads }))}\n`
}
