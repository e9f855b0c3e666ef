/**
 * One task at a time, the more urgent lane first, in each lane the first to come. A running task can let more
 * urgent ones pass between its stages.
 */

/** From the most urgent on: what a person waits for, what automation found, passes over everything. */
const lanes = ['people', 'automation', 'passes'] as const
export type Lane = (typeof lanes)[number]

/** What a task is handed. */
export interface Turn {
  /** aborted when the queue is */
  readonly signal: AbortSignal
  /** Run what waits in more urgent lanes now, then go on. */
  giveWay(): Promise<void>
}

export interface Queue {
  /**
   * Run a task when its turn comes. A task that waits for another of the same queue waits for ever.
   *
   * @returns what the task returns; rejects with what it throws, or with the reason of the abort that came before its turn
   */
  run<T>(lane: Lane, task: (turn: Turn) => Promise<T>): Promise<T>
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>
}

export interface QueueOptions {
  /** Waiting tasks are turned away when it is aborted, and the running one is told. */
  signal: AbortSignal
}

interface Waiting {
  run(turn: Turn): Promise<void>
  reject(reason: unknown): void
}

export function createQueue({ signal }: QueueOptions): Queue {
  const waiting: Record<Lane, Waiting[]> = { people: [], automation: [], passes: [] }
  let working: Promise<void> | undefined

  /** Run what waits in the first `count` lanes until nothing does; tasks may come meanwhile. */
  async function drain(count: number): Promise<void> {
    for (;;) {
      const lane = lanes.slice(0, count).find((lane) => waiting[lane].length > 0)
      const next = lane && waiting[lane].shift()
      if (lane === undefined || next === undefined) {
        // at once, so that whoever comes now starts anew
        if (count === lanes.length) working = undefined
        return
      }
      await next.run({ signal, giveWay: () => drain(lanes.indexOf(lane)) })
    }
  }

  signal.addEventListener('abort', () => {
    for (const lane of lanes) {
      for (const task of waiting[lane].splice(0)) task.reject(signal.reason)
    }
  })

  return {
    run: (lane, task) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        waiting[lane].push({
          // a task that throws at once is caught as well
          run: async (turn) => {
            try {
              resolve(await task(turn))
            } catch (thrown) {
              reject(thrown)
            }
          },
          reject,
        })
        // not at once, so that of tasks that come together the most urgent is first
        working ??= Promise.resolve().then(() => drain(lanes.length))
      }),
    async idle() {
      while (working) await working
    },
  }
}
