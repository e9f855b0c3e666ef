import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../../src/core/json.ts'
import { applyServerSide, trackUpdate } from '../../../../src/playground/kube-api/apply/managed-fields.ts'
import { StatusError } from '../../../../src/playground/kube-api/model.ts'
import { applyDefaults } from '../../../../src/playground/kube-api/schema/defaults.ts'
import { readFields } from '../../../../src/playground/kube-api/schema/read.ts'
import { validate } from '../../../../src/playground/kube-api/schema/validate.ts'
import { answers, causesOf, masked, resourceFor } from '../answers.ts'
import { accepted, refused } from '../objects.ts'

const recorded = answers()
const now = new Date('2020-01-01T00:00:00Z')

/** A short text that tells objects apart. */
const tell = (object: JsonObject) =>
  `${String(object['kind'])} ${JSON.stringify(object['spec'] ?? object).slice(0, 90)}`

describe('an object that is sent', () => {
  test.each(accepted.map((object, at) => ({ name: tell(object), object, answer: recorded.accepted[at] })))(
    'is created as the real server creates it: $name',
    ({ object, answer }) => {
      const resource = resourceFor(object)

      const { object: read } = readFields(resource, object, 'Strict')
      const filled = applyDefaults(resource, read)
      const created = trackUpdate({ resource, old: undefined, new: filled, manager: 'test', now })

      expect(masked(created)).toEqual(answer?.created)
      expect(() => validate(resource, created)).not.toThrow()
    },
  )

  test.each(accepted.map((object, at) => ({ name: tell(object), object, answer: recorded.accepted[at] })))(
    'is applied as the real server applies it: $name',
    ({ object, answer }) => {
      const resource = resourceFor(object)

      const { object: applied } = applyServerSide({
        resource,
        live: undefined,
        config: object,
        manager: 'test',
        force: false,
        now,
      })

      expect(masked(applied)).toEqual(answer?.applied)
    },
  )

  test.each(refused.map((object, at) => ({ name: tell(object), object, causes: recorded.refused[at] })))(
    'is refused for what the real server refuses it for: $name',
    ({ object, causes }) => {
      const resource = resourceFor(object)
      const filled = applyDefaults(resource, readFields(resource, object, 'Ignore').object)

      let found: string[] = []
      try {
        validate(resource, filled)
      } catch (error) {
        found = error instanceof StatusError ? causesOf(error.details) : [String(error)]
      }

      expect(found).toEqual(causes)
    },
  )
})
