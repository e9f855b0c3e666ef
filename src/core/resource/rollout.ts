/** How far a workload's rollout has come: counts of pods. */
export interface Rollout {
  desired: number
  updated: number
  ready: number
  available: number
  outdated: number
  /** why it doesn't get on */
  messages: readonly string[]
}
