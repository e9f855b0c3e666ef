import type { JsonObject } from '../src/core/json.ts'

/** A repository of many small applications: a Deployment, a Service, a ConfigMap and a ServiceAccount each. */
export interface Fleet {
  apps: number
  /** in so many namespaces, which are in it too */
  namespaces: number
  /** begins the names of the namespaces, so that several fleets fit one cluster */
  prefix: string
  imageOf(app: number): string
}

const padded = (number: number) => String(number).padStart(5, '0')

export function appOf({ prefix, namespaces }: Fleet, app: number) {
  return {
    namespace: `${prefix}-${app % namespaces}`,
    name: `app-${padded(app)}`,
    folder: `apps/app-${padded(app)}`,
  }
}

export function objectCount({ apps, namespaces }: Fleet): number {
  return namespaces + 4 * apps
}

/** path → text */
export function filesOf(fleet: Fleet): Record<string, string> {
  const files: Record<string, string> = {}
  for (let index = 0; index < fleet.namespaces; index++) {
    files[`namespaces/${index}.yaml`] =
      `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${fleet.prefix}-${index}\n`
  }
  for (let app = 0; app < fleet.apps; app++) {
    const { namespace, name, folder } = appOf(fleet, app)
    files[`${folder}/deployment.yaml`] = deploymentText(name, namespace, fleet.imageOf(app))
    files[`${folder}/service.yaml`] =
      `apiVersion: v1\nkind: Service\n${metadataText(name, namespace)}spec:\n  selector:\n    app: ${name}\n  ports:\n  - name: http\n    port: 80\n    targetPort: 8080\n`
    files[`${folder}/configmap.yaml`] = configMapText(name, namespace, 'first')
    files[`${folder}/serviceaccount.yaml`] =
      `apiVersion: v1\nkind: ServiceAccount\n${metadataText(name, namespace)}`
  }
  return files
}

export function configMapText(name: string, namespace: string, value: string): string {
  return `apiVersion: v1\nkind: ConfigMap\n${metadataText(name, namespace)}data:\n  settings: |\n    log: info\n    value: ${value}\n`
}

function metadataText(name: string, namespace: string): string {
  return `metadata:\n  name: ${name}\n  namespace: ${namespace}\n  labels:\n    app: ${name}\n`
}

function deploymentText(name: string, namespace: string, image: string): string {
  return `apiVersion: apps/v1
kind: Deployment
${metadataText(name, namespace)}  annotations:
    fluxcd.io/tag.app: semver:~1
spec:
  replicas: 2
  selector:
    matchLabels:
      app: ${name}
  template:
    metadata:
      labels:
        app: ${name}
    spec:
      serviceAccountName: ${name}
      containers:
      - name: app
        image: ${image}
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: LOG_LEVEL
          value: info
        resources:
          requests:
            cpu: 10m
            memory: 16Mi
        readinessProbe:
          httpGet:
            path: /healthz
            port: http
`
}

/** Objects of the same size as what fluxd applies, with its marks, for the bare loop. */
export interface FloorObject {
  path: string
  object: JsonObject
}

/** First the namespaces, then everything in them. */
export function floorObjects(fleet: Fleet): FloorObject[][] {
  const mark = 'sha256.BhHY4aw2RoJbixnOKQD-rhRxC3rJpgatGRErCSLo07w'
  const checksum = '390a2d27c4fec7399043b4eca70f0114580225e9'
  const of = (
    root: string,
    kind: string,
    plural: string,
    name: string,
    namespace: string,
    rest: JsonObject,
  ) => ({
    path: `/${root}/namespaces/${namespace}/${plural}/${name}`,
    object: {
      apiVersion: root.replace(/^apis?\//, ''),
      kind,
      metadata: {
        name,
        namespace,
        labels: { app: name, 'fluxcd.io/sync-gc-mark': mark },
        annotations: { 'fluxcd.io/sync-checksum': checksum },
      },
      ...rest,
    },
  })
  const namespaces = Array.from({ length: fleet.namespaces }, (_, index) => ({
    path: `/api/v1/namespaces/${fleet.prefix}-${index}`,
    object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `${fleet.prefix}-${index}` } },
  }))
  const rest = Array.from({ length: fleet.apps }, (_, app) => {
    const { namespace, name } = appOf(fleet, app)
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }]
    const container = {
      name: 'app',
      image: fleet.imageOf(app),
      ports: [{ name: 'http', containerPort: 8080 }],
      env: [{ name: 'LOG_LEVEL', value: 'info' }],
      resources: { requests: { cpu: '10m', memory: '16Mi' } },
      readinessProbe: { httpGet: { path: '/healthz', port: 'http' } },
    }
    return [
      of('apis/apps/v1', 'Deployment', 'deployments', name, namespace, {
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: name } },
          template: {
            metadata: { labels: { app: name } },
            spec: { serviceAccountName: name, containers: [container] },
          },
        },
      }),
      of('api/v1', 'Service', 'services', name, namespace, { spec: { selector: { app: name }, ports } }),
      of('api/v1', 'ConfigMap', 'configmaps', name, namespace, {
        data: { settings: 'log: info\nvalue: first\n' },
      }),
      of('api/v1', 'ServiceAccount', 'serviceaccounts', name, namespace, {}),
    ]
  }).flat()
  return [namespaces, rest]
}
