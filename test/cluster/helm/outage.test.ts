import { describe, expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { test } from '../../support/cluster-test.ts'
import { planeSkipReason, request, startControlPlane } from '../../support/control-plane.ts'
import { helm } from '../../support/neighbours.ts'
import { eventually } from '../../support/programs.ts'
import { gitChart, helmWorld } from './world.ts'

/** The API server goes while helm is at work. */

const chart = (text: string, hook = '') => ({
  'charts/app/Chart.yaml': 'apiVersion: v2\nname: app\nversion: 1.0.0\n',
  'charts/app/templates/config.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {text: ${text}}\n`,
  'charts/app/templates/hook.yaml': hook,
})
const waitingHook = `\
apiVersion: batch/v1
kind: Job
metadata:
  name: hook
  annotations: {helm.sh/hook: pre-upgrade}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: hook, image: hook}]
`

describe.skipIf(planeSkipReason !== undefined || helm('4.2') === undefined)(
  'an API server of its own',
  () => {
    test('that goes in the middle of an upgrade: when it is back the release ends as Git says', {
      timeout: 180_000,
    }, async () => {
      // without controllers: a Job is done when we say so
      await using plane = await startControlPlane()
      const namespace = 'shop'
      await request(plane, 'POST', '/api/v1/namespaces', { metadata: { name: namespace } })
      await using world = await helmWorld(plane, namespace, { files: chart('one') })
      await world.apply('app', {
        chart: gitChart(world.upstream, 'charts/app'),
        releaseName: 'app',
        timeout: 10,
      })
      await world.until('app', 'app is installed', ({ phase }) => phase === 'Succeeded')

      await world.upstream.commit(chart('two', waitingHook))
      const settings = `/api/v1/namespaces/${namespace}/configmaps/app`
      const job = `/apis/batch/v1/namespaces/${namespace}/jobs/hook`
      await eventually(() => world.object(job), 'helm waits for the hook')
      expect((await world.history('app')).at(-1)).toMatch(/^pending-upgrade /)
      const gone = world.operator.log.length
      await plane.stopApiServer()
      await world.operator.until(/resource=shop:helmrelease\/app .*(err|error)=/, gone)

      await plane.startApiServer()
      await eventually(async () => {
        if (await world.object(job)) {
          const now = new Date().toISOString()
          const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({
            type,
            status: 'True',
            lastTransitionTime: now,
            lastProbeTime: now,
          }))
          const status = { succeeded: 1, startTime: now, completionTime: now, conditions }
          const headers = { 'content-type': 'application/merge-patch+json' }
          await request(plane, 'PATCH', `${job}/status`, { status }, headers)
        }
        return valueAt((await world.object(settings)) ?? {}, 'data', 'text') === 'two'
      }, 'the release is as Git says')
      const { status, generation } = await world.until('app', 'app is told of', (seen) => {
        return seen.phase === 'Succeeded' && seen.conditions['Released'] === 'True'
      })

      expect(status.observedGeneration).toBe(generation)
      expect((await world.history('app')).at(-1)).toBe('deployed Upgrade complete')
    })
  },
)
