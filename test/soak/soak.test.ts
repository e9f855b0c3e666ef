import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildPrograms } from '../support/built-programs.ts'
import { soak } from './soak.ts'

test('a fluxd that is killed again and again loses, doubles and halves nothing', {
  timeout: 240_000,
}, async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  using programs = await buildPrograms()

  const report = await soak({
    seed,
    api: 'embedded',
    kills: 5,
    races: 3,
    limitMs: 20_000, // whatever it came to by then is judged
    programs,
  })

  const log = join(tmpdir(), `soak-${seed}.log`)
  if (report.violations.length > 0) writeFileSync(log, report.log.join('\n'))
  expect(report.violations, `seed ${seed}; what fluxd said is in ${log}`).toEqual([])
  expect(report.kills).toBeGreaterThan(0)
})
