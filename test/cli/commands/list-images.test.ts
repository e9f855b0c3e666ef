import { expect, test } from 'vitest'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import type { ImageListing, ListedContainer, ListedImage } from '../../../src/core/listing.ts'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import { runWith } from '../../support/cli.ts'

const web = parseResourceId('demo:deployment/web')

function image(tag: string, createdAt = '2020-03-20T13:53:05.47178071Z'): ListedImage {
  return { ref: parseImageRef(`example/web:${tag}`), labels: {}, createdAt }
}

function listing(some: Partial<ListedContainer>): ImageListing {
  const container: ListedContainer = {
    name: 'web',
    current: image('3'),
    latestFiltered: { labels: {} },
    availableError: '',
    availableCount: 0,
    newAvailableCount: 0,
    filteredCount: 0,
    newFilteredCount: 0,
    ...some,
  }
  return { id: web, containers: [container] }
}

async function list(some: Partial<ListedContainer>, ...argv: string[]): Promise<string[]> {
  const fluxd = { listImages: async () => [listing(some)] }
  const { stdout } = await runWith(fluxd, ['list-images', '-n', 'demo', '--no-headers', ...argv])
  return stdout.split('\n').slice(0, -1)
}

const available = ['5', '4', '3', '2', '1'].map((tag) => image(tag))
const row = (text: string) => expect.stringMatching(new RegExp(`^ +${text} +20 Mar 20 13:53 UTC$`))

test('marks what runs, what is before it, and what is after it', async () => {
  expect((await list({ available })).slice(1)).toEqual([
    row('\\|   5'),
    row('\\|   4'),
    row("'-> 3"),
    row('    2'),
    row('    1'),
  ])
})

test.each<{ limit: string; rows: (string | object)[] }>([
  { limit: '0', rows: [row('\\|   5'), row('\\|   4'), row("'-> 3"), row('    2'), row('    1')] },
  { limit: '-1', rows: [row('\\|   5'), row('\\|   4'), row("'-> 3"), row('    2'), row('    1')] },
  { limit: '2', rows: [row('\\|   5'), row('\\|   4'), row("'-> 3")] },
  {
    limit: '1',
    rows: [row('\\|   5'), expect.stringMatching(/^ +: \(1 image\(s\) omitted\) +$/), row("'-> 3")],
  },
])('shows $limit images, and what runs in any case', async ({ limit, rows }) => {
  expect((await list({ available }, '-l', limit)).slice(1)).toEqual(rows)
})

test('says what runs when it is not among them', async () => {
  expect((await list({ available, current: image('9') })).at(-1)).toMatch(/^ +'-> 9 +\?$/)
  expect((await list({ available, current: { labels: {} } })).at(-1)).toMatch(/^ +'-> \(untagged\) +\?$/)
})

test('says why there are none', async () => {
  expect((await list({}))[0]).toMatch(/ {2}image data not available$/)
  expect((await list({ availableError: 'denied' }))[0]).toMatch(/ {2}denied$/)
})

test.each([
  ['2020-03-01T02:03:04Z', '01 Mar 20 02:03 UTC'],
  ['2020-12-31T23:59:59.9+05:30', '31 Dec 20 23:59 +0530'],
])('shows %s as %s', async (createdAt, shown) => {
  expect((await list({ available: [image('3', createdAt)] }))[1]).toMatch(
    new RegExp(`${shown.replace('+', '\\+')}$`),
  )
})

test('a name from a registry cannot move the cursor', async () => {
  const odd = { ref: { repository: 'web', tag: '\u001b[2J' }, labels: {} }

  expect((await list({ available: [odd] })).join('\n')).not.toContain('\u001b')
})

test('JSON holds as many as asked for', async () => {
  const json = async (...argv: string[]) =>
    JSON.parse((await list({ available }, '-o', 'json', ...argv)).join('\n'))

  expect((await json('-l', '2'))[0].Containers[0].Available).toHaveLength(2)
  expect((await json('-l', '0'))[0].Containers[0].Available).toHaveLength(5)
  const refused = await runWith({ listImages: async () => [] }, [
    'list-images',
    '-n',
    'x',
    '-o',
    'json',
    '-l',
    '-1',
  ])
  expect(refused).toMatchObject({
    exit: 1,
    stdout: '',
    stderr: expect.stringContaining('opts.limit cannot be less than 0'),
  })
})
