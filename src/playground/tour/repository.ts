/** The workload's image, without the registry. */
export const imageRepository = 'example/podinfo'

/** What stands in the repository of the tour: file → text. */
export function firstFiles(image: string): Record<string, string> {
  return { 'namespaces/demo.yaml': namespace, 'workloads/podinfo.yaml': podinfo(image) }
}

const namespace = `\
apiVersion: v1
kind: Namespace
metadata:
  name: demo
`

const podinfo = (image: string) => `\
# a small web application
apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
  namespace: demo
spec:
  replicas: 2
  selector:
    matchLabels: {app: podinfo}
  template:
    metadata:
      labels: {app: podinfo}
    spec:
      containers:
        - name: podinfod
          image: ${image}  # kept in step with the cluster
          ports:
            - containerPort: 9898
`

/** A manifest that nobody can read: YAML has no tabs. The tab stands on line 5. */
export const brokenFile = {
  path: 'workloads/cache.yaml',
  line: 5,
  text: `\
# somebody's editor indents by tabs
apiVersion: apps/v1
kind: Deployment
metadata:
\tname: cache
`,
}

const dayMs = 24 * 60 * 60 * 1000

/** What stands in the registry: repository → tag → creation time. */
export function firstImages(nowMs: number): Record<string, Record<string, string>> {
  const daysAgo = (days: number) => new Date(nowMs - days * dayMs).toISOString()
  return {
    [imageRepository]: { '3.1.0': daysAgo(40), '3.1.4': daysAgo(16), '3.1.5': daysAgo(2) },
    'example/fluxd': { demo: daysAgo(1) },
  }
}
