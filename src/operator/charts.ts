import type { ChartSource, GitChart, RepositoryChart } from '../core/helm/chart.ts'
import type { ChartSources } from '../ports/helm.ts'

/** Charts of every kind of source behind one door. */
export type Charts = ChartSources<ChartSource>

export function joinCharts(git: ChartSources<GitChart>, repository: ChartSources<RepositoryChart>): Charts {
  return {
    head: (source, options) =>
      source.kind === 'git' ? git.head(source, options) : repository.head(source, options),
    prepare: (source, head, signal) =>
      source.kind === 'git' ? git.prepare(source, head, signal) : repository.prepare(source, head, signal),
    readFile: (source, head, path) =>
      source.kind === 'git' ? git.readFile(source, head, path) : repository.readFile(source, head, path),
    close: async () => {
      await Promise.allSettled([git.close(), repository.close()])
    },
  }
}
