import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareVersions, parseConstraint, parseVersion, satisfies } from '../../../src/core/policy/semver.ts'
import vectors from '../../fixtures/semver-vectors.json' with { type: 'json' }

/** What Masterminds/semver 3.1.1 answered; `matches` holds positions in `versions`. */
const { versions, ascending, constraints } = vectors as {
  versions: { tag: string; version?: string }[]
  ascending: string[][]
  constraints: { constraint: string; valid: boolean; matches?: number[] }[]
}

test('reads each version as the Go library does', () => {
  const ours = versions.map(({ tag }) => {
    const version = parseVersion(tag)
    if (!version) return { tag }
    const { major, minor, patch, prerelease } = version
    return { tag, version: `${major}.${minor}.${patch} ${prerelease}` }
  })

  expect(ours).toEqual(versions)
})

test('takes the same texts for constraints', () => {
  const ours = constraints.map(({ constraint }) => ({
    constraint,
    valid: parseConstraint(constraint) !== undefined,
  }))

  expect(ours).toEqual(constraints.map(({ constraint, valid }) => ({ constraint, valid })))
})

test('matches the same versions', () => {
  const ours = constraints.map(({ constraint: text }) => {
    const constraint = parseConstraint(text)
    const matches = versions.flatMap(({ tag }) => {
      const version = parseVersion(tag)
      return version && constraint && satisfies(version, constraint) ? [tag] : []
    })
    return { text, matches }
  })

  expect(ours).toEqual(
    constraints.map(({ constraint, matches = [] }) => ({
      text: constraint,
      matches: matches.map((position) => versions[position]?.tag),
    })),
  )
})

test('orders versions in the same way', () => {
  const rank = ascending.flatMap((group, position) => group.map((tag) => ({ tag, position })))
  for (const a of rank) {
    for (const b of rank) {
      const left = parseVersion(a.tag)
      const right = parseVersion(b.tag)
      if (!left || !right) throw new Error(`${a.tag} or ${b.tag} is no version`)
      expect(Math.sign(compareVersions(left, right)), `${a.tag} and ${b.tag}`).toBe(
        Math.sign(a.position - b.position),
      )
    }
  }
})

test('reads hostile constraints in linear time', () => {
  const hostile = [
    `${'1 '.repeat(500)}!`,
    `${'1'.repeat(1000)}!`,
    `${'1.1.1-a'.repeat(140)}!`,
    `1${' '.repeat(1000)}!`,
  ]
  const before = performance.now()

  for (const text of hostile) expect(parseConstraint(text)).toBeUndefined()

  expect(performance.now() - before).toBeLessThan(2000)
})

test('never throws', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9xX*.,|<>=!~^ v+a-]{0,40}$/), (text) => {
      parseConstraint(text)
      parseVersion(text)
    }),
  )
})
