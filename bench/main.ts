import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { endWhenTold } from '../test/soak/programs.ts'
import { helmRows } from './helm.ts'
import { needs, openLab } from './lab.ts'
import { type Result, type Row, rows as rowsOfAgent } from './rows.ts'

/** `npm run bench [rows]`: the figures of docs/performance.md, each beside what it stands on. */

const rows = [...rowsOfAgent, ...helmRows]
const page = 'docs/performance.md'
const [begin, end] = ['<!-- bench: begin -->', '<!-- bench: end -->']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    list: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !rows.some((row) => row.name === name))
if (values.help || unknown.length > 0) {
  console.log(`npm run bench -- [--runs N] [--dry-run] [--list] [ROW ...]

Measures the rows, or all of them, prints a table, and writes it into ${page} (not with --dry-run).

Rows: ${rows.map(({ name }) => name).join(' ')}`)
  if (unknown.length > 0) console.error(`\nThere is no row ${unknown.join(', ')}.`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const wanted = rows.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const missing = (row: Row) => row.needs.map((need) => needs[need]()).find((why) => why !== undefined)
const possible = wanted.filter((row) => missing(row) === undefined)
for (const row of wanted) {
  const why = missing(row)
  if (why !== undefined) console.log(`${row.name} can't be measured here: ${why}`)
}
if (values.list) {
  for (const { name, work, promise } of possible) console.log(`${name.padEnd(15)} ${work}: ${promise}`)
  process.exit(0)
}

endWhenTold()
const [load = 0] = loadavg()
if (load > 1)
  console.log(`The machine has other work (load ${load.toFixed(1)}): believe the ratios, not the times.`)
const results = new Map<Row, Result>()
{
  await using lab = await openLab(Number(values.runs))
  for (const row of possible) {
    const startedMs = performance.now()
    try {
      const result = await row.run(lab)
      results.set(row, result)
      const seconds = Math.round((performance.now() - startedMs) / 1000)
      console.log(
        `${row.name} (${seconds} s): ${result.ours} | ${result.beside} | ${row.promise}: ${verdict(result)}`,
      )
    } catch (error) {
      console.log(`${row.name} failed: ${error instanceof Error ? error.stack : String(error)}`)
      process.exitCode = 1
    }
  }
}
const text = readFileSync(page, 'utf8')
const table = tableOf(text, results)
console.log(`\n${table}`)
if (!values['dry-run'] && results.size > 0) {
  writeFileSync(
    page,
    text.replace(blockOf(text), () => `${begin}\n\n${table}\n\n${end}`),
  )
}
process.exit()

function verdict({ met }: Result): string {
  return met ? 'met' : 'missed'
}

function blockOf(text: string): string {
  return text.slice(text.indexOf(begin), text.indexOf(end) + end.length)
}

/** The table of the page with these rows made new; the others stay. */
function tableOf(text: string, results: ReadonlyMap<Row, Result>): string {
  const known = new Map(
    [...blockOf(text).matchAll(/^\| `([\w-]+)` \|.*$/gm)].map(([line, name = '']) => [name, line]),
  )
  const [load = 0] = loadavg()
  const circumstances = `${availableParallelism()} cores, Node ${process.versions.node}, load ${load.toFixed(1)}, ${new Date().toISOString().slice(0, 10)}`
  return [
    '| row | work | measured | beside it | promised | |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.flatMap((row) => {
      const result = results.get(row)
      if (!result) return known.get(row.name) ?? []
      return `| \`${row.name}\` | ${row.work} | ${result.ours} | ${result.beside} | ${row.promise} | ${verdict(result)}; ${circumstances} |`
    }),
  ].join('\n')
}
