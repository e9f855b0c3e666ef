import { expect } from 'vitest'
import type { CommitMade } from './compare.ts'

/**
 * Where our fluxd answers otherwise than the original did, each with the row that orders it. Everything else is equal.
 *
 * Everywhere: `help` of an error is prose of our own (README of the recordings, "What may be taken over"); errors and job
 * statuses may carry fields that Go's clients ignore (decisions, "unknown codes"); a body that does not decode gives a typed
 * error with status 400 (corrections, http-api.md §7); CronJobs of `batch/v1`, which the original can't see, are workloads
 * like others (sharp edges: "fix: add `batch/v1`"); before it says that a workload is unknown, fluxctl looks (decisions,
 * "exit codes").
 */
export interface Difference {
  /** the row of the decisions or corrections */
  because: string
  /** what is expected in place of what was recorded, where another answer is */
  answer?(recorded: Answer): Partial<Answer>
  /** the commits that are expected in place of the recorded ones */
  commits?(recorded: CommitMade[]): CommitMade[]
  /** what the files of the last commit say in place of the recorded ones */
  meaning?(recorded: unknown): unknown
}

/** What came back: over HTTP `status` to `job`, by fluxctl `exit` to `http`. */
export interface Answer {
  status: number
  type: string | undefined
  body: unknown
  job: unknown
  exit: number | null
  stdout: string
  stderr: string
  http: Exchange[]
}

export interface Exchange {
  request: string
  status: number | null
  body: unknown
}

/** An error as it is compared: its help is prose. */
export function typedError(type: string, error: unknown): unknown {
  return { type, help: '<prose>', error }
}

const mapJson = (value: unknown, replace: (text: string) => string): unknown =>
  JSON.parse(replace(JSON.stringify(value)))

const unknownWorkload: Pick<Difference, 'answer'> = {
  answer: () => ({
    exit: 1,
    stderr: expect.stringMatching(/^Error: workload \S+ is not defined in the repository\n/),
  }),
}

const skippedPolicy: Difference = {
  because: 'edits: only bytes of values change, so nothing is left to commit where the original adds `---`',
  answer: ({ stdout, http }) => ({
    stdout: stdout.replace('success', 'skipped'),
    stderr: '',
    http: http.map((exchange) =>
      exchange.request.includes('/jobs')
        ? {
            ...exchange,
            body: mapJson(exchange.body, (text) =>
              text.replace('"success"', '"skipped"').replace('"revision":"<commit>",', ''),
            ),
          }
        : exchange,
    ),
  }),
  commits: () => [],
}

const oldDigest = `example/sidecar@sha256:${'0123456789abcdef'.repeat(4)}`
const writtenDigest = (text: string) =>
  text
    .replaceAll(
      `"Target":"127.0.0.1:23055/${oldDigest}"`,
      '"Target":"127.0.0.1:23055/example/sidecar@<new digest>"',
    )
    .replaceAll(`${oldDigest} -> \n`, `${oldDigest} -> <new digest>\n`)
const digestText: Difference = {
  because: 'corrections: ours shows and writes the digest',
  answer: ({ stdout, http, job }) => ({
    ...(job !== undefined && { job: mapJson(job, writtenDigest) }),
    ...(http && { stdout: writtenDigest(stdout), http: mapJson(http, writtenDigest) as Exchange[] }),
  }),
  commits: (recorded) => recorded.map((commit) => ({ ...commit, note: writtenDigest(commit.note ?? '') })),
  meaning: (recorded) =>
    mapJson(recorded, (text) => text.replaceAll(oldDigest, 'example/sidecar@<new digest>')),
}

const ownVersion: Difference = {
  because: 'the version is our own',
  answer: () => ({ body: expect.any(String) }),
}

const parserWords = (value: unknown) =>
  mapJson(value, (text) =>
    text.replaceAll(
      'scanning multidoc from \\"demo/broken.yaml\\": yaml: line 2: mapping values are not allowed in this context',
      'demo/broken.yaml:2:15: bad indentation of a mapping entry',
    ),
  )
const brokenManifest: Difference = {
  because: 'design §3: what can’t be read is reported with file, line and column, in the words of our parser',
  answer: ({ body, job, http, stderr }) => ({
    ...(body !== undefined && { body: parserWords(body) }),
    ...(job !== undefined && { job: parserWords(job) }),
    ...(http && { http: parserWords(http) as Exchange[], stderr: parserWords(stderr) as string }),
  }),
}

const filledIn = (text: string) =>
  text
    .replace(/(?<="ContainerSpecs":{"demo:statefulset\/db":\[{"Container":"db",)"Current":"",/, '')
    .replace(/"Current":""(?=,"Target":"[^"]*"}\]},"dev:)/, '"Current":"127.0.0.1:23055/example/db:9.6"')

export const differences: Record<string, Difference> = {
  'automate--unknown-workload-v': {
    because: 'exit codes: an unknown workload in `automate` is 1',
    ...unknownWorkload,
  },
  'broken-manifest--images': brokenManifest,
  'broken-manifest--list-images': brokenManifest,
  'broken-manifest--lock': brokenManifest,
  'broken-manifest--policy': brokenManifest,
  'broken-manifest--services': brokenManifest,
  'deautomate--not-automated-v': skippedPolicy,
  'lock--cluster-only-v': {
    because: 'exit codes: a workload that Git does not know is 1 in `lock`',
    ...unknownWorkload,
  },
  'negotiation--success-html': ownVersion,
  'policy--nothing-asked': {
    because: 'corrections: ours says what is missing, and asks nothing of fluxd',
    answer: () => ({
      stderr: expect.stringMatching(/^Error: please say what to change: --automate, /),
      http: [],
    }),
  },
  'policy--unknown-workload': {
    because: 'exit codes: an unknown workload in `policy` is 1',
    ...unknownWorkload,
  },
  'release--all': digestText,
  'release--all-dry-run': digestText,
  'release--all-dry-run-v': digestText,
  'release--all-exclude': digestText,
  'small--version': ownVersion,
  'unknown-routes--debug-pprof-cmdline-head': {
    because: 'listening: no /debug/pprof',
    answer: () => ({ status: 404 }),
  },
  'update-manifests--image-plan-excluded': digestText,
  'unlock--not-locked-v': skippedPolicy,
  'update-manifests--containers-no-current': {
    because: 'corrections: without `Current` ours fills it in',
    answer: ({ job }) => ({ job: mapJson(job, filledIn) }),
    commits: (recorded) => recorded.map((commit) => ({ ...commit, note: filledIn(commit.note ?? '') })),
  },
}

/** What is not replayed, by family or by name. */
export const leftOut: Record<string, string> = {
  'allowed-namespaces--export-head': 'not built yet',
  completion: 'not built yet',
  export: 'not built yet',
  'garbage-collection': 'not built yet',
  help: 'prose of its own',
  install: 'not built yet',
  interactive: 'needs a terminal; test/e2e plays it on one',
  save: 'not built yet',
}

const duplicate = `apiVersion: v1
kind: Service
metadata:
  name: podinfo
  namespace: demo
spec:
  ports:
  - port: 80
`

type PersonCommit = [
  files: (read: (path: string) => string) => Record<string, string | null>,
  message: string,
]

/** What a person had committed before, by recording or family. */
export const personCommits: Record<string, PersonCommit> = {
  'broken-manifest': [
    () => ({ 'demo/broken.yaml': 'kind: Deployment\nmetadata: name: broken\n' }),
    'Break it',
  ],
  'sync--duplicate': [() => ({ 'demo/again.yaml': duplicate }), 'The same again'],
  'sync--file-removed': [() => ({ 'demo/db.yaml': null }), 'No database any more'],
  'sync--new-commit': [
    (read) => ({ 'demo/api.yaml': read('demo/api.yaml').replace('replicas: 1', 'replicas: 2') }),
    'Two replicas for api',
  ],
}

/** Series of metrics that ours need not have. */
export function isMetricLeftOut(series: string): boolean {
  // no memcached, and no upstream connection
  if (/^flux_(?:cache_request|fluxd_connection)_/.test(series)) return true
  // an update of an unknown kind, and one of all images that failed, are not among the recordings
  return /release_kind=(?:bogus|execute,release_type=latest_images,success=false)/.test(series)
}

/** Lines of the original's log that ours need not have: those that no test and no row relies on. */
export function isLineLeftOut(line: string): boolean {
  return [
    /caller=main\.go:(?:259|412|515|814)/, // version, kubectl and its configuration, the signal
    /component=(?:upstream|memcached)/, // neither is there
    /component=warmer (?:info|priority|stopping|canonical_name)|stopping=true/, // progress of scans, and goodbyes
    /"failed to load last-synced resources|git repo has not been cloned yet/, // depends on what is ready first
    /warn="cannot find scope|warning="automation of this resource kind/, // told in other words
    /component=daemon err="fetching image metadata/, // told once, by the scan
    /"polling for new images|"no automated workloads/, // told by each container's own line
    / type=(?:release|auto)/, // the releaser's progress
    /output=".*unchanged/, // a pass writes nothing where nothing differs, and names what changed
    / workload=|"Automated release of \S+worker:/, // automation's own
    /err="usage: kubeyaml|039b18f|demo:service\/bad|broken\.yaml/, // made by hand, and not among the recordings
    /event="(?:Commit: 98e603f|Released: \S+podinfo:3\.2\.0)/, // a release with --force that is not among the recordings
    /jobID=\S+ revision=$/, // an update of an unknown kind
  ].some((pattern) => pattern.test(line))
}
