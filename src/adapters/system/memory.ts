import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A collection stops everything for some dozen milliseconds: at most so often. */
const intervalMs = 15_000
const slackBytes = 16 * 1024 * 1024

/**
 * Give memory back that a pass or a scan has used. V8 keeps it while anything goes on: twice and more of what is alive.
 */
export function keepHeapSmall(signal: AbortSignal): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const size = () => getHeapStatistics().total_heap_size
  let leftBytes = 0
  const timer = setInterval(() => {
    if (size() < leftBytes + slackBytes) return
    collect()
    leftBytes = size()
  }, intervalMs)
  timer.unref()
  signal.addEventListener('abort', () => clearInterval(timer))
}
