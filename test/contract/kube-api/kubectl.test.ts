import { describe } from 'vitest'
import { kubectlVersions } from '../../support/neighbours.ts'
import { configMap, definition, deployment } from './objects.ts'
import { type Answer, type Script, test as scriptTest } from './script.ts'

const apps = '/apis/apps/v1/namespaces/$NS'

const ready = (name: string, count: number) => (script: Script) =>
  script.until(
    `${apps}/deployments/${name}`,
    ({ status, metadata }) =>
      status.observedGeneration === metadata.generation &&
      status.readyReplicas === count &&
      status.updatedReplicas === count &&
      status.replicas === count,
  )

const service = (name: string): Answer => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
})

describe.each(kubectlVersions)('kubectl %s', (version) => {
  const test = scriptTest.extend({ kubectlVersion: version })

  test('create and get', async ({ script }) => {
    await script.kubectl('create -f -', {
      stdin: [configMap('a'), service('web'), deployment('web', { replicas: 0 })],
    })
    await script.kubectl('create -f -', { stdin: configMap('a') })
    await script.kubectl('create configmap b --from-literal=x=y')
    await script.kubectl('create secret generic c --from-literal=x=y')
    await script.kubectl('create deployment d --image=example/d:1 --replicas=0')
    await script.kubectl('create serviceaccount e')
    await script.kubectl('create role r --verb=get --resource=pods')
    await script.kubectl('create rolebinding rb --role=r --serviceaccount=$NS:e')
    await script.kubectl('create cronjob cj --image=example/x:1 --schedule=@yearly')
    await script.kubectl('create job j --image=example/x:1 --dry-run=server')
    await script.kubectl('create namespace default')
    await script.kubectl('create quota q --hard=pods=1 --dry-run=server -o name')
    await script.until('/api/v1/namespaces/$NS/configmaps/kube-root-ca.crt', (_, status) => status === 200)
    await script.until('/api/v1/namespaces/$NS/serviceaccounts/default', (_, status) => status === 200)
    await script.until(`${apps}/deployments/d`, ({ status }) => status.observedGeneration === 1)
    await script.until(`${apps}/deployments/web`, ({ status }) => status.observedGeneration === 1)
    for (const what of ['configmap', 'secret', 'deploy', 'svc', 'sa', 'role,rolebinding', 'cronjob', 'pods'])
      await script.kubectl(`get ${what}`)
    await script.kubectl('get deploy,svc,cm -o wide')
    await script.kubectl('get cm a -o yaml')
    await script.kubectl('get cm a -o json')
    await script.kubectl('get cm a nobody')
    await script.kubectl('get cm -o name')
    await script.kubectl('get cm a -o jsonpath={.data.a}')
    await script.kubectl(
      'get deploy -o custom-columns=NAME:.metadata.name,IMAGE:.spec.template.spec.containers[*].image',
    )
    await script.kubectl('get cm --show-labels')
    await script.kubectl('get cm -l app=none')
    await script.kubectl('get cm --field-selector metadata.name=b')
    await script.kubectl('get cm --sort-by=.metadata.name --no-headers')
    await script.kubectl('get cm --chunk-size=1')
    await script.kubectl('get cm -A -l app=none')
    await script.kubectl('get nonsense')
    await script.kubectl('get cm a --output-watch-events --watch --request-timeout=1s', {
      show: (stdout) => stdout.split('\n').slice(0, 2).join('\n'),
    })
    await script.kubectl('get all')
    await script.kubectl('get namespace $NS')
    await script.kubectl('get cm a --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}')
  })

  test('apply on the client', async ({ script }) => {
    const web = deployment('web', { replicas: 0 })
    await script.kubectl('apply -f -', { stdin: [configMap('a'), web] })
    await script.kubectl('apply -f -', { stdin: [configMap('a', { b: '2' }), web] })
    await script.kubectl('apply -f -', { stdin: [configMap('a', { b: '2' }), web] })
    await script.kubectl('get cm a -o yaml')
    await script.kubectl('apply view-last-applied cm a')
    await script.kubectl('apply -f - --dry-run=client', { stdin: configMap('c') })
    await script.kubectl('apply -f - --dry-run=server', { stdin: configMap('c') })
    await script.kubectl('apply -f - --dry-run=server', { stdin: configMap('a', { c: '3' }) })
    script.note('what was not made by applying')
    await script.kubectlQuietly('create configmap made --from-literal=x=y')
    await script.kubectl('apply -f -', { stdin: configMap('made') })
    script.note('wrong')
    await script.kubectl('apply -f -', { stdin: { ...configMap('a'), unknown: 1 } })
    await script.kubectl('apply -f -', { stdin: deployment('bad', { replicas: 'many' }) })
    await script.kubectl('apply -f -', { stdin: deployment('bad', { replica: 1 }, { imagePullPolice: 'x' }) })
    await script.kubectl('apply -f - --validate=warn', {
      stdin: deployment('bad', { replica: 1, replicas: 0 }),
    })
    await script.kubectl('apply -f - --validate=false', {
      stdin: deployment('bad', { replica: 1, replicas: 0 }),
    })
    await script.kubectl('apply -f -', {
      stdin: deployment('bad', { selector: { matchLabels: { other: 'x' } } }),
    })
    await script.kubectl('apply -f -', {
      stdin: { apiVersion: 'nonsense.example.com/v1', kind: 'Thing', metadata: { name: 'a' } },
    })
    await script.kubectl('apply -f -', { stdin: 'a: b: c' })
    await script.kubectl('apply -f -', { stdin: 'apiVersion: v1\nkind: ConfigMap\n' })
    script.note('prune')
    await script.kubectl('apply -f - --prune -l app=p', {
      stdin: [configMap('p1', {}, { labels: { app: 'p' } }), configMap('p2', {}, { labels: { app: 'p' } })],
    })
    await script.kubectl('apply -f - --prune -l app=p --prune-allowlist=core/v1/ConfigMap', {
      stdin: configMap('p1', {}, { labels: { app: 'p' } }),
    })
  })

  test('apply on the server', async ({ script }) => {
    const web = (container = {}) => deployment('web', { replicas: 0 }, container)
    await script.kubectl('apply --server-side -f -', { stdin: [configMap('a'), web()] })
    await script.kubectl('apply --server-side -f -', { stdin: [configMap('a'), web()] })
    await script.kubectl('set image deployment/web web=example/web:2')
    await script.kubectl('apply --server-side -f -', { stdin: web() })
    await script.kubectl('apply --server-side --force-conflicts -f -', { stdin: web() })
    await script.kubectl('apply --server-side --field-manager=other -f -', {
      stdin: configMap('a', { a: '2' }),
    })
    await script.kubectl('apply --server-side --dry-run=server -f -', { stdin: configMap('b') })
    await script.kubectl('apply --server-side -f -', { stdin: { ...configMap('b'), unknown: 1 } })
    script.note('from the client to the server')
    await script.kubectlQuietly('apply -f -', { stdin: configMap('moved', { a: '1', b: '2' }) })
    await script.kubectl('apply --server-side -f -', { stdin: configMap('moved', { a: '1' }) })
    await script.kubectl('get cm moved -o yaml')
  })

  test('diff', async ({ script }) => {
    const body = (stdout: string) =>
      stdout
        .split('\n')
        .filter((line) => !/^(---|\+\+\+|diff) |resourceVersion|creationTimestamp|uid:/.test(line))
        .join('\n')
    await script.kubectlQuietly('apply -f -', { stdin: configMap('a') })
    await script.kubectl('diff -f -', { stdin: configMap('a'), show: body })
    await script.kubectl('diff -f -', { stdin: configMap('a', { a: '2' }), show: body })
    await script.kubectl('diff -f -', { stdin: configMap('new', { a: '2' }), show: body })
    await script.kubectl('diff --server-side -f -', { stdin: configMap('a', { a: '1', b: '2' }), show: body })
    await script.kubectl('diff -f -', { stdin: deployment('bad', { replicas: -1 }), show: body })
  })

  test('patch, label, annotate and set', async ({ script }) => {
    await script.kubectlQuietly('create -f -', {
      stdin: [configMap('a'), deployment('web', { replicas: 0 })],
    })
    await script.kubectl(`patch cm a -p '{"data":{"b":"2"}}'`)
    await script.kubectl(`patch cm a -p '{"data":{"b":"2"}}'`)
    await script.kubectl(`patch cm a --type=merge -p '{"data":{"b":null}}' -o yaml`)
    await script.kubectl(`patch cm a --type=json -p '[{"op":"replace","path":"/data/a","value":"9"}]'`)
    await script.kubectl(`patch cm a --type=json -p '[{"op":"remove","path":"/data/none"}]'`)
    await script.kubectl(`patch cm nobody -p '{}'`)
    await script.kubectl(`patch deploy web -p '{"spec":{"replicas":-1}}'`)
    await script.kubectl(`patch deploy web --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'`)
    await script.kubectl('label cm a x=y')
    await script.kubectl('label cm a x=z')
    await script.kubectl('label cm a x=z --overwrite')
    await script.kubectl('label cm a x-')
    await script.kubectl(`label cm a 'x=a b'`)
    await script.kubectl('annotate cm a example.com/a=b')
    await script.kubectl('annotate cm a example.com/a-')
    await script.kubectl('set image deploy/web web=example/web:9')
    await script.kubectl('set env deploy/web A=B')
    await script.kubectl('set resources deploy/web --limits=cpu=1')
    await script.kubectl('set serviceaccount deploy/web robot')
    await script.kubectl('replace -f -', { stdin: configMap('a', { r: '1' }) })
    await script.kubectl('replace -f -', { stdin: configMap('nobody') })
    await script.kubectl('get deploy web -o yaml', {
      show: (stdout) => stdout.replace(/\nstatus:[\s\S]*/, '\n'),
    })
  })

  test('roll out, look back and go back', async ({ script }) => {
    await script.kubectlQuietly('create -f -', { stdin: deployment('web', { replicas: 2 }) })
    await ready('web', 2)(script)
    await script.kubectl('rollout status deploy/web')
    await script.kubectl('wait --for=condition=Available deploy/web --timeout=30s')
    await script.kubectl('get deploy,rs')
    await script.kubectlQuietly('set image deploy/web web=example/web:2')
    await ready('web', 2)(script)
    await script.kubectl('rollout status deploy/web')
    await script.kubectl('rollout history deploy/web')
    await script.kubectl('rollout history deploy/web --revision=2')
    await script.kubectl('rollout history deploy/web --revision=9')
    await script.kubectl('rollout undo deploy/web')
    await ready('web', 2)(script)
    await script.kubectl('rollout history deploy/web')
    await script.kubectl('rollout undo deploy/web --to-revision=9')
    await script.kubectl('get deploy web -o jsonpath={.spec.template.spec.containers[0].image}')
    await script.kubectl('rollout restart deploy/web')
    await ready('web', 2)(script)
    await script.kubectl('rollout pause deploy/web')
    await script.kubectl('rollout pause deploy/web')
    await script.kubectl('rollout undo deploy/web')
    await script.kubectl('rollout resume deploy/web')
    await script.kubectl('scale deploy/web --replicas=3')
    await ready('web', 3)(script)
    await script.kubectl('scale deploy/web --current-replicas=2 --replicas=1')
    await script.kubectl('scale deploy/web --replicas=0')
    await script.until('/api/v1/namespaces/$NS/pods', (body) => body.items.length === 0)
    await script.kubectl('get deploy')
    await script.kubectl('rollout status deploy/nobody')
  })

  test('wait', async ({ script }) => {
    await script.kubectlQuietly('create -f -', {
      stdin: [configMap('a'), deployment('web', { replicas: 0 })],
    })
    await script.until(`${apps}/deployments/web`, ({ status }) => status.observedGeneration === 1)
    await script.kubectl('wait --for=delete cm/nobody --timeout=2s')
    await script.kubectl('wait --for=condition=Nonsense deploy/web --timeout=1s')
    await script.kubectl(`wait --for=jsonpath='{.data.a}'=1 cm/a --timeout=5s`)
    await script.kubectl('wait --for=condition=Available deploy/nobody --timeout=1s')
    await script.kubectl('wait --for=delete cm/a --timeout=1s')
  })

  test('delete', async ({ script }) => {
    const labelled = (name: string) => configMap(name, {}, { labels: { app: 'x' } })
    await script.kubectlQuietly('create -f -', {
      stdin: [configMap('a'), labelled('b'), labelled('c'), deployment('web', { replicas: 1 })],
    })
    await ready('web', 1)(script)
    await script.kubectl('delete cm a')
    await script.kubectl('delete cm a')
    await script.kubectl('delete cm a --ignore-not-found')
    await script.kubectl('delete cm -l app=x')
    await script.kubectl('delete -f -', { stdin: configMap('a') })
    await script.kubectl('delete deploy web --dry-run=server')
    await script.kubectl('delete deploy web --cascade=foreground')
    await script.kubectl('get rs,pods')
    await script.kubectlQuietly('create -f -', {
      stdin: configMap('held', {}, { finalizers: ['example.com/hold'] }),
    })
    await script.kubectl('delete cm held --wait=false')
    await script.kubectl('delete cm held --timeout=1s')
    await script.kubectl(`patch cm held --type=merge -p '{"metadata":{"finalizers":null}}'`)
    await script.kubectl('delete namespace default')
  })

  test('describe', async ({ script }) => {
    await script.kubectlQuietly('create -f -', {
      stdin: [
        configMap('a', { text: 'two\nlines\n' }),
        service('web'),
        deployment(
          'web',
          { replicas: 1 },
          { ports: [{ containerPort: 80 }], env: [{ name: 'A', value: 'b' }] },
        ),
      ],
    })
    await script.kubectlQuietly('create secret generic s --from-literal=x=y')
    await ready('web', 1)(script)
    await script.kubectl('describe cm a')
    await script.kubectl('describe secret s')
    await script.kubectl('describe svc web')
    const noEvents = (stdout: string) => stdout.replace(/\nEvents:[\s\S]*/, '\n')
    await script.kubectl('describe deploy web', { show: noEvents })
    await script.kubectl('describe rs', { show: noEvents })
    await script.kubectl('describe pods', { show: noEvents })
    await script.kubectl('describe namespace $NS')
    await script.kubectl('describe cm nobody')
    await script.until('/api/v1/namespaces/$NS/events', (body) =>
      body.items.some(({ reason }: Answer) => reason === 'ScalingReplicaSet'),
    )
    await script.kubectl('events --for deployment/web')
    await script.kubectl('get events --field-selector reason=ScalingReplicaSet')
  })

  test('custom resources', async ({ script }) => {
    const name = `widgets.k${version.replace('.', '')}.$NS.example.com`
    const group = name.replace('widgets.', '')
    const widget = (spec: object) => ({
      apiVersion: `${group}/v1`,
      kind: 'Widget',
      metadata: { name: 'w' },
      spec,
    })
    await script.kubectl('apply -f -', { stdin: definition(group.split('.')[0] ?? '') })
    await script.kubectl(`wait --for=condition=established crd/${name} --timeout=20s`)
    await script.until(`/apis/${group}/v1/widgets`, (_, status) => status === 200)
    await script.until(
      '/openapi/v3',
      (body) => body.paths[`apis/${group.replace('$NS', script.namespace)}/v1`] !== undefined,
    )
    await script.kubectl('apply -f -', { stdin: widget({ size: 1, parts: [{ name: 'a' }] }) })
    await script.kubectl('apply -f -', { stdin: widget({ size: 2, parts: [{ name: 'b' }] }) })
    await script.kubectl('apply -f -', { stdin: widget({ size: 2, odd: 1 }) })
    await script.kubectl('apply -f -', { stdin: widget({ size: 20 }) })
    await script.kubectl('apply --server-side -f -', { stdin: widget({ size: 3 }) })
    await script.kubectl(`get widgets.${group}`)
    await script.kubectl(`get widgets.${group} w -o yaml`)
    await script.kubectl(`describe widgets.${group} w`)
    await script.kubectl(`explain widgets.${group}.spec --api-version=${group}/v1`)
    await script.kubectl(`scale widgets.${group} w --replicas=3`)
    await script.kubectl(`patch widgets.${group} w --type=merge -p '{"spec":{"size":4}}'`)
    await script.kubectl(`patch widgets.${group} w -p '{"spec":{"size":4}}'`)
    await script.kubectl(`delete widgets.${group} w`)
    await script.kubectl(`delete crd ${name}`)
  })

  test('what there is, and what one may', async ({ script }) => {
    await script.kubectl('version -o json', {
      show: (stdout) => JSON.stringify(Object.keys(JSON.parse(stdout))),
    })
    const own = (stdout: string) =>
      stdout
        .split('\n')
        .filter((line) => !/example\.com|fluxcd/.test(line))
        .join('\n')
    await script.kubectl('api-resources', { show: own, sorted: true })
    await script.kubectl('api-resources --namespaced=false -o name', { show: own, sorted: true })
    await script.kubectl('api-versions', { show: own })
    await script.kubectl('auth can-i get pods')
    await script.kubectl('auth can-i get pods --as=jane')
    await script.kubectl('auth can-i get pods --subresource=log --as=jane')
    await script.kubectl('auth can-i get nonsense')
    await script.kubectl('auth can-i --list --as=jane')
    await script.kubectl('auth whoami')
    await script.kubectl('get pods --as=jane')
    await script.kubectl('create cm x --as=jane')
    await script.kubectl('cluster-info')
    await script.kubectl('get --raw /readyz')
    // without descriptions, which the embedded server leaves to the documentation
    const fields = (stdout: string) => (stdout.match(/^[A-Z]+:.*|.*\t<.*/gm) ?? []).join('\n')
    await script.kubectl('explain deployment.spec.strategy', { show: fields })
    await script.kubectl('explain configmap --recursive', { show: fields })
    await script.kubectl('explain deployment.spec.nonsense')
    await script.kubectl('explain nonsense')
    await script.kubectl('get nodes --no-headers -o custom-columns=:.metadata.name,:.spec.taints')
  })
})
