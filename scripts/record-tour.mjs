// Records the tour as it looks on a terminal: writes docs/tour.svg, with some of its steps. Needs `script` of
// util-linux, and the built programs. `node scripts/record-tour.mjs`
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
/** titles of the steps that are shown */
const shown = ['A release', 'Rolled out', 'A new image']
const columns = 112
const [charWidth, lineHeight, margin] = [7.8, 18, 16]
/** of terminals, on a dark ground */
const colours = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341', 36: '#79c0ff' }

const command = [process.execPath, join(root, 'bin', 'fluxctl.cjs'), 'demo'].join(' ')
const { stdout, status } = spawnSync('script', ['-qec', command, '/dev/null'], {
  // a CI system's terminal, on which it ends by itself
  env: { PATH: process.env.PATH, TERM: 'xterm', CI: 'true', FORCE_COLOR: '1' },
  encoding: 'utf8',
})
if (status !== 0) {
  process.stderr.write(stdout)
  process.exit(1)
}

const steps = stdout.replaceAll('\r', '').split(/\n(?=\n\x1b\[1m\d+\/\d+ )/)
const chosen = steps.filter((step) => shown.some((title) => step.includes(`  ${title}\x1b[0m`)))
const last = stdout.replaceAll('\r', '').match(/All \d+ steps .*/)?.[0] ?? ''
const lines = [...chosen.join('\n').trim().split('\n'), '', last].flatMap(wrapped)
writeFileSync(join(root, 'docs', 'tour.svg'), svgOf(lines.map(piecesOf)))

/** A line in the colours of its escape sequences, cut where the terminal ends. */
function wrapped(line) {
  const plain = line.replace(/\x1b\[[\d;]*m/g, '')
  if (plain.length <= columns) return [line]
  // long lines have one colour, from their first to their last character
  const [, open = '', text = '', close = ''] =
    /^((?:\x1b\[[\d;]*m)*)(.*?)((?:\x1b\[[\d;]*m)*)$/.exec(line) ?? []
  const parts = text.replace(/\x1b\[[\d;]*m/g, '').match(new RegExp(`.{1,${columns}}`, 'g')) ?? []
  return parts.map((part) => `${open}${part}${close}`)
}

function piecesOf(line) {
  const pieces = []
  let style = { bold: false, colour: undefined }
  for (const [, codes, text] of line.matchAll(/(?:\x1b\[([\d;]*)m)?([^\x1b]*)/g)) {
    for (const code of (codes ?? 'none').split(';')) {
      if (code === '' || code === '0') style = { bold: false, colour: undefined }
      else if (code === '1') style = { ...style, bold: true }
      else if (colours[code]) style = { ...style, colour: colours[code] }
    }
    if (text) pieces.push({ text, ...style })
  }
  return pieces
}

function svgOf(lines) {
  const [width, height] = [columns * charWidth + 2 * margin, lines.length * lineHeight + 2 * margin]
  const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const rows = lines.map((pieces, index) => {
    const spans = pieces.map(({ text, bold, colour }) => {
      const marks = `${bold ? ' font-weight="bold"' : ''}${colour ? ` fill="${colour}"` : ''}`
      return marks ? `<tspan${marks}>${escaped(text)}</tspan>` : escaped(text)
    })
    return `<text x="${margin}" y="${margin + (index + 0.75) * lineHeight}">${spans.join('')}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    '<title>A part of the tour, as fluxctl prints it</title>',
    '<style>text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre; }</style>',
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...rows,
    '</svg>\n',
  ].join('\n')
}
