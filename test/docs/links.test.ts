import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
]

/** Pages and source files that a page names: by a link, or as a path in backquotes. */
function namedIn(page: string): string[] {
  const text = readFileSync(page, 'utf8').replace(/^```.*?^```/gms, '')
  const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => normalize(join(dirname(page), target)))
  const paths = [...text.matchAll(/`((?:src|test|docs|scripts|bin)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  )
  return [...links, ...paths]
}

test.each(pages)('every file that %s names is there', (page) => {
  expect(namedIn(page).filter((path) => !existsSync(path))).toEqual([])
})

test('every page can be reached from the README', () => {
  const reached = new Set<string>()
  const visit = (page: string) => {
    if (reached.has(page)) return
    reached.add(page)
    for (const target of namedIn(page)) if (pages.includes(target)) visit(target)
  }

  visit('README.md')

  expect(pages.filter((page) => !reached.has(page))).toEqual([])
})
