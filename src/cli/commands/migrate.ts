import { migrateHelmReleases } from '../../core/helm/migrate.ts'
import { formatJson } from '../../core/json.ts'
import { parseManifestFile } from '../../core/manifest/document.ts'
import { selectManifestPaths } from '../../core/manifest/select.ts'
import { defineCommand } from '../command.ts'
import { outputFlag } from '../flags.ts'
import { formatTable } from '../output/table.ts'
import { escapeLine } from '../output/text.ts'
import { usageError } from '../usage.ts'

export const migrate = defineCommand({
  about:
    'Rewrites HelmReleases of flux.weave.works/v1beta1 and helm.integrations.flux.weave.works/v1alpha2 to helm.fluxcd.io/v1, in the files of a clone; the current folder unless PATH names another, or a file. Only what has to change does. Nothing is written unless every file can be rewritten, and nothing is committed: look at `git diff`.',
  examples: [
    'fluxctl migrate helmreleases --dry-run',
    'fluxctl migrate helmreleases releases --git-url=git@github.com:org/charts',
  ],
  words: 'helmreleases [PATH]',
  flags: [
    { name: 'dry-run', type: 'bool', summary: 'say what would be rewritten, and write nothing' },
    {
      name: 'git-url',
      type: 'string',
      value: 'URL',
      summary: 'repository of the charts that v1alpha2 names by path only; the --git-url of its operator',
    },
    {
      name: 'git-branch',
      type: 'string',
      default: 'master',
      value: 'BRANCH',
      summary: 'branch of that repository',
    },
    {
      name: 'git-charts-path',
      type: 'string',
      default: 'charts',
      value: 'PATH',
      summary: 'folder of the charts in that repository',
    },
    outputFlag,
  ],
  async run({ io, openFolder }, { flags, words: [kind, path = '.', ...more] }) {
    if (kind !== 'helmreleases' || more.length > 0) {
      throw usageError(
        kind === undefined
          ? 'say what to migrate: helmreleases'
          : 'expected helmreleases and at most one path',
      )
    }
    const charts = flags.gitUrl
      ? { git: flags.gitUrl, ref: flags.gitBranch, chartsPath: flags.gitChartsPath }
      : undefined
    const folder = await openFolder(path)
    const changes: { file: string; text: string; releases: { id: string; from: string }[] }[] = []
    for (const file of selectManifestPaths(await folder.list(), [])) {
      const manifests = parseManifestFile(file, await folder.read(file))
      for (const fault of manifests.faults) io.say(`Warning: ${fault.what}`)
      const { text, migrated } = migrateHelmReleases(manifests, charts)
      const releases = migrated.map(({ manifest, from }) => ({ id: String(manifest.id), from }))
      if (releases.length > 0) changes.push({ file, text, releases })
    }
    if (!flags.dryRun) for (const { file, text } of changes) await folder.write(file, text)

    if (flags.output === 'json') {
      const files = changes.map(({ file, releases }) => ({ file, releases }))
      io.out(`${escapeLine(formatJson({ files, written: !flags.dryRun }))}\n`)
    } else {
      const rows = changes.flatMap(({ file, releases }) => releases.map(({ id, from }) => [file, id, from]))
      if (rows.length > 0) io.out(formatTable([['FILE', 'RELEASE', 'FROM'], ...rows]))
    }
    if (changes.length === 0) io.say('No HelmRelease of an older kind was found.')
    else if (!flags.dryRun) io.say('Look at `git diff`, then commit.')
    return changes.length === 0 ? 'nothing' : 'done'
  },
})
