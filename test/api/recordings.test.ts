import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatWire, parseBody } from '../../src/api/json.ts'
import {
  readChange,
  readControllerStatuses,
  readGitConfig,
  readImageStatuses,
  readJobStatus,
  readPublicKey,
  readRevisions,
  readUpdateImagesQuery,
  readUpdatePoliciesRequest,
  readUpdateSpec,
} from '../../src/api/read.ts'
import {
  changeToWire,
  controllerStatusesToWire,
  gitConfigToWire,
  imageStatusesToWire,
  jobStatusToWire,
  publicKeyToWire,
  updateSpecToWire,
} from '../../src/api/write.ts'
import { FluxError } from '../../src/core/errors.ts'

interface Recording {
  request: { method: string; path: string; query: string; body: string }
  response: { status: number; body: string }
  jobStatusesSeen?: { status: number; body: string }[]
}

const folder = 'test/fixtures/recordings/http'
const recordings = readdirSync(folder).map((file) => ({
  name: file.replace('.json', ''),
  ...(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording),
}))

/** Read a body of the original and print it again. */
const roundTrips: Record<string, (body: unknown) => object | null> = {
  services: (body) => controllerStatusesToWire(readControllerStatuses(body)),
  images: (body) => imageStatusesToWire(readImageStatuses(body)),
  jobs: (body) => jobStatusToWire(readJobStatus(body)),
  'git-repo-config': (body) => gitConfigToWire(readGitConfig(body)),
  'identity.pub': (body) => publicKeyToWire(readPublicKey(body)),
  sync: (body) => readRevisions(body),
}
const routeOf = (path: string) => path.split('/').at(-1) ?? ''

/** The original prints an absent image as `""`, which its own clients refuse to read; ours leaves it out. */
const withoutEmptyCurrent = (body: string) => body.replaceAll('"Current":"",', '')

describe('what the original answers is printed again byte for byte', () => {
  const answers = recordings.filter(
    ({ request, response }) => response.status === 200 && roundTrips[routeOf(request.path)] !== undefined,
  )
  test.each(answers)('$name', ({ request, response }) => {
    const roundTrip = roundTrips[routeOf(request.path)]

    expect(formatWire(roundTrip?.(parseBody(response.body)) ?? null)).toBe(response.body)
  })

  const statuses = recordings.flatMap(({ name, jobStatusesSeen = [] }) =>
    jobStatusesSeen
      .filter(({ status }) => status === 200)
      .map(({ body }, index) => ({ name: `${name} ${index}`, body })),
  )
  test.each(statuses)('job of $name', ({ body }) => {
    expect(formatWire(jobStatusToWire(readJobStatus(parseBody(body))))).toBe(withoutEmptyCurrent(body))
  })
})

describe('a request is understood or refused as the original does', () => {
  const readers: Record<string, (request: Recording['request']) => unknown> = {
    'update-manifests': ({ body }) => readUpdateSpec(parseBody(body)),
    'update-images': ({ query }) => readUpdateImagesQuery(new URLSearchParams(query)),
    policies: ({ query, body }) => readUpdatePoliciesRequest(new URLSearchParams(query), parseBody(body)),
    notify: ({ body }) => readChange(parseBody(body)),
  }
  const requests = recordings.filter(
    ({ request, response }) =>
      readers[routeOf(request.path)] !== undefined && ![404, 410].includes(response.status),
  )
  test.each(requests)('$name: $response.status', ({ request, response }) => {
    const read = () => readers[routeOf(request.path)]?.(request)

    if (response.status === 400) expect(read).toThrow(FluxError)
    else expect(read).not.toThrow()
  })

  const echoed = recordings.flatMap(({ name, request, jobStatusesSeen = [] }) => {
    const last = jobStatusesSeen.at(-1)?.body ?? ''
    return routeOf(request.path) === 'update-manifests' && last.includes('"spec"')
      ? [{ name, request, last }]
      : []
  })
  test.each(echoed)('$name: the spec comes back as the original echoes it', ({ request, last }) => {
    const { spec } = (JSON.parse(withoutEmptyCurrent(last)) as { Result: { spec: object } }).Result

    expect(formatWire(updateSpecToWire(readUpdateSpec(parseBody(request.body))))).toBe(formatWire(spec))
  })
})

test('a notification is printed as it was read', () => {
  const body = '{"Kind":"image","Source":{"Name":{"Domain":"quay.io","Image":"org/app"}}}'

  expect(formatWire(changeToWire(readChange(parseBody(body))))).toBe(body)
})
