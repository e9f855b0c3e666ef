import { formatWire } from '../../api/json.ts'
import { imageStatusesToWire } from '../../api/write.ts'
import { formatImageRef, imageName } from '../../core/image/ref.ts'
import { compareCodePoints } from '../../core/json.ts'
import type { ImageListing, ListedContainer, ListedImage } from '../../core/listing.ts'
import { defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { controllerFlag, namespaceFlag } from '../flags.ts'
import { checkFormat, listFlags } from '../listing.ts'
import { formatTable } from '../output/table.ts'
import { escapeLine } from '../output/text.ts'
import { usageError } from '../usage.ts'
import { readWorkload } from '../workload.ts'

export const listImages = defineCommand({
  about:
    "Of each container, the images that its registry has, in the order of the container's tag pattern; '-> marks the one that runs.",
  examples: ['fluxctl list-images -n demo', 'fluxctl list-images --workload=demo:deployment/web --limit=0'],
  flags: [
    namespaceFlag,
    {
      name: 'workload',
      short: 'w',
      type: 'string',
      value: 'WORKLOAD',
      summary: 'only this workload, such as demo:deployment/web',
    },
    {
      name: 'limit',
      short: 'l',
      type: 'int',
      default: 10,
      value: 'COUNT',
      summary: 'images of each container; 0 for all',
    },
    {
      name: 'verbose',
      short: 'v',
      type: 'bool',
      summary: 'also say why images are not known, and why automation holds',
    },
    ...listFlags,
    controllerFlag,
  ],
  async run(ctx, { flags }) {
    if (flags.workload !== '' && flags.controller !== '')
      throw usageError("can't specify both the controller and image")
    checkFormat(flags.outputFormat)
    const query = await readQuery(ctx, flags.workload || flags.controller, flags.namespace)
    const fluxd = await ctx.fluxd()

    const found = await ctx.io.during(
      'Listing images',
      fluxd.listImages({ ...query, ...(flags.verbose && { reasons: true }) }),
    )

    const listings = found.sort((a, b) => compareCodePoints(a.id, b.id))
    if (flags.outputFormat === 'json') {
      if (flags.limit < 0) throw usageError('opts.limit cannot be less than 0')
      ctx.io.out(`${escapeLine(formatWire(imageStatusesToWire(truncate(listings, flags.limit))))}\n`)
    } else ctx.io.out(formatImages(listings, { limit: flags.limit, headings: !flags.noHeaders }))
    return 'done'
  },
})

/** A workload is asked for by its whole ID, all others by their namespace. */
async function readQuery(ctx: CliContext, workload: string, namespace: string) {
  if (workload === '') return { namespace: namespace || (await ctx.defaultNamespace()) }
  return { workload: await readWorkload(ctx, workload, namespace) }
}

/** @param limit 0 for all */
function truncate(listings: readonly ImageListing[], limit: number): ImageListing[] {
  if (limit === 0) return [...listings]
  return listings.map((listing) => ({
    ...listing,
    containers: listing.containers.map((container) => ({
      ...container,
      ...(container.available && { available: container.available.slice(0, limit) }),
    })),
  }))
}

/** @param limit images of a container; all of them where it isn't positive */
export function formatImages(
  listings: readonly ImageListing[],
  { limit, headings }: { limit: number; headings: boolean },
): string {
  return formatTable([
    ...(headings ? [['WORKLOAD', 'CONTAINER', 'IMAGE', 'CREATED']] : []),
    ...listings.flatMap(({ id, containers }) => {
      const rows = containers.flatMap((container) => containerRows(container, limit))
      return (rows[0] ? rows : [['', '', '']]).map((row, index) => [index === 0 ? id : '', ...row])
    }),
  ])
}

/** Rows of container, image and creation time. */
function containerRows(
  { name, current, available = [], availableError, reasons = [] }: ListedContainer,
  limit: number,
) {
  const rows = [
    [
      name,
      current.ref ? imageName(current.ref) : '',
      available.length > 0 ? '' : availableError || 'image data not available',
    ],
  ]
  const currentTag = current.ref?.tag ?? ''
  let foundCurrent = false
  for (const [index, image] of available.entries()) {
    const tag = image.ref?.tag ?? ''
    const mark = tag === currentTag ? "'->" : foundCurrent ? '   ' : '|  '
    foundCurrent ||= tag === currentTag
    const inLimit = limit <= 0 || index < limit
    if (!inLimit && !isSameImage(image, current)) continue
    if (!inLimit && index > limit) rows.push(['', `: (${index - limit} image(s) omitted)`, ''])
    rows.push(['', `${mark} ${tag}`, formatCreated(image.createdAt)])
  }
  if (!foundCurrent) rows.push(['', `'-> ${currentTag || '(untagged)'}`, '?'])
  for (const { code, message } of reasons) rows.push(['', `${code}: ${message}`, ''])
  return rows
}

function isSameImage(a: ListedImage, b: ListedImage): boolean {
  return a.ref !== undefined && b.ref !== undefined && formatImageRef(a.ref) === formatImageRef(b.ref)
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** RFC 3339 text as Go's RFC 822 layout shows it, in its own time zone: `20 Mar 20 13:53 UTC`. */
function formatCreated(time: string | undefined): string {
  const match = /^\d\d(\d\d)-(\d\d)-(\d\d)T(\d\d:\d\d):[\d.]+(Z|[+-]\d\d:\d\d)$/.exec(time ?? '')
  if (!match) return ''
  const [, year, month, day, clock, zone = ''] = match
  return `${day} ${months[Number(month) - 1]} ${year} ${clock} ${zone === 'Z' ? 'UTC' : zone.replace(':', '')}`
}
