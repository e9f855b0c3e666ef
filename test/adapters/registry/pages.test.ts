import { expect, test } from 'vitest'
import { nextPage, readTagPage } from '../../../src/adapters/registry/pages.ts'

const path = '/v2/org/app/tags/list?n=1000'

test.each([
  { link: undefined, next: undefined },
  { link: '</v2/org/app/tags/list?last=b&n=2>; rel="next"', next: '/v2/org/app/tags/list?last=b&n=2' },
  { link: '<list?last=b>; rel=next', next: '/v2/org/app/tags/list?last=b' },
  { link: '<?last=b>; rel="next"', next: '/v2/org/app/tags/list?last=b' },
  {
    link: '<https://r.example.com:5000/v2/org/app/tags/list?last=b>; rel="next"',
    next: '/v2/org/app/tags/list?last=b',
  },
  { link: '<http://r.example.com:5000/v2/x/tags/list>; rel="next"', next: '/v2/x/tags/list' },
  { link: '</a>; rel="prev", </b>; title=x; rel="next"', next: '/b' },
  { link: '</a>; rel="prev"', next: undefined },
])('after $link comes $next', ({ link, next }) => {
  expect(nextPage(link, 'r.example.com:5000', path)).toBe(next)
})

test.each([
  '<https://evil.example.com/v2/org/app/tags/list>; rel="next"',
  '<//evil.example.com/v2/>; rel="next"',
  '<https://r.example.com:5001/v2/>; rel="next"',
  '<https://user:pw@r.example.com:5000/v2/>; rel="next"',
  '<file:///etc/passwd>; rel="next"',
  '<http://[>; rel="next"',
])('does not follow %s', (link) => {
  expect(() => nextPage(link, 'r.example.com:5000', path)).toThrow(
    expect.objectContaining({ code: 'REGISTRY_INVALID' }),
  )
})

test('drops and counts what is no tag', () => {
  const tags = [
    '1.0',
    '_ok',
    '-no',
    '.no',
    'a b',
    'a\u001b[31m',
    'x'.repeat(128),
    'x'.repeat(129),
    7,
    null,
    '',
  ]

  expect(readTagPage({ name: 'app', tags })).toEqual({ tags: ['1.0', '_ok', 'x'.repeat(128)], dropped: 8 })
})

test.each([
  { document: { tags: null }, page: { tags: [], dropped: 0 } },
  { document: { name: 'x' }, page: { tags: [], dropped: 0 } },
  { document: { tags: 'x' }, page: undefined },
  { document: [], page: undefined },
  { document: undefined, page: undefined },
])('reads $document', ({ document, page }) => {
  expect(readTagPage(document)).toEqual(page)
})
