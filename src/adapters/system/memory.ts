import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A collection stops everything for some dozen milliseconds: at most so often. */
const intervalMs = 15_000
const slackBytes = 16 * 1024 * 1024
/** of the space for new objects: twice what a scavenge goes through */
const youngBytes = 8 * 1024 * 1024

/**
 * Give memory back that a pass or a scan has used. V8 keeps it while anything goes on: twice and more of what is alive.
 */
export function keepHeapSmall(signal: AbortSignal): void {
  keepYoungSmall(signal)
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

/**
 * Let the space for new objects grow no further than it must. V8 doubles it while much survives, up to 32 MiB with
 * Node 20 and 128 with Node 24, and hardly ever makes it smaller. Its limit can only be set before it starts; how fast
 * it grows, at any time.
 */
function keepYoungSmall(signal: AbortSignal): void {
  let capped = false
  const observer = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
    const full = (young?.space_size ?? 0) >= youngBytes
    if (full === capped) return
    capped = full
    setFlagsFromString(`--semi-space-growth-factor=${full ? 1 : 2}`)
  })
  observer.observe({ entryTypes: ['gc'] })
  signal.addEventListener('abort', () => observer.disconnect())
}
