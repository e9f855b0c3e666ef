import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JsonObject, type JsonValue, valueAt } from '../../../src/core/json.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import {
  type AuditEntry,
  type ControlPlaneAccess,
  kubeconfigFor,
  readAuditLog,
  request,
} from '../../support/control-plane.ts'

/** A ServiceAccount to be, with a kubeconfig: its requests are told apart in the audit log. */
export interface Account extends AsyncDisposable {
  readonly name: string
  readonly kubeconfig: string
  /** where the token stands alone, for kubeconfigs with `tokenFile` */
  readonly folder: string
  /** requests so far, oldest first, without watches */
  requests(): Promise<AuditEntry[]>
  /** a new token, valid for as long */
  token(): Promise<string>
}

/** @param rules what it may do; everything, without */
export async function createAccount(
  plane: ControlPlaneAccess,
  namespace: string,
  { rules, name = 'fluxd' }: { rules?: JsonValue[]; name?: string } = {},
): Promise<Account> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`
  await request(plane, 'POST', path, { metadata: { name } })
  const role = `${namespace}-${name}`
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  await request(plane, 'POST', `${rbac}/clusterroles`, {
    metadata: { name: role },
    rules: rules ?? [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ],
  })
  await request(plane, 'POST', `${rbac}/clusterrolebindings`, {
    metadata: { name: role },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  })
  const token = async () => {
    const { body } = await request(plane, 'POST', `${path}/${name}/token`, {
      spec: { expirationSeconds: 3600 },
    })
    return String(valueAt(body as JsonValue, 'status', 'token'))
  }
  const folder = await mkdtemp(join(tmpdir(), 'account-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigFor({ ...plane, token: await token() }))
  return {
    name,
    kubeconfig,
    folder,
    token,
    async requests() {
      const entries = await readAuditLog(plane.auditLogPath)
      const username = `system:serviceaccount:${namespace}:${name}`
      return entries.filter(({ user, verb }) => user.username === username && verb !== 'watch')
    },
    async [Symbol.asyncDispose]() {
      await request(plane, 'DELETE', `${rbac}/clusterrolebindings/${role}`)
      await request(plane, 'DELETE', `${rbac}/clusterroles/${role}`)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** An object as the API server has it, or `undefined`. */
export async function readObject(plane: ControlPlaneAccess, path: string): Promise<JsonObject | undefined> {
  const { status, body } = await request(plane, 'GET', path)
  return status === 200 ? (body as JsonObject) : undefined
}

/** `verb resource name` of each request. */
export function summaries(entries: readonly AuditEntry[]): string[] {
  return entries.map(({ verb, objectRef }) =>
    [verb, objectRef?.resource, objectRef?.name].filter((word) => word !== undefined).join(' '),
  )
}

/** The documents of a fixture. */
export async function readDocuments(file: string): Promise<JsonObject[]> {
  const { manifests } = parseManifestFile(file, await readFile(file, 'utf8'))
  return manifests.map(({ value }) => value)
}

/** A Deployment with one container, as text. */
export function deployment(
  name: string,
  {
    namespace,
    image = 'example/app:1',
    container = 'app',
    more = '',
  }: { namespace?: string; image?: string; container?: string; more?: string } = {},
): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}${namespace ? `\n  namespace: ${namespace}` : ''}
spec:
  replicas: 2 # two of each
  selector:
    matchLabels: {app: ${name}}
  template:
    metadata:
      labels: {app: ${name}}
    spec:
      containers:
      - name: ${container}
        image: ${image}   # the one to change
${more}`
}

export function configMap(name: string, namespace: string, value = 'git'): string {
  return `apiVersion: v1
kind: ConfigMap
metadata: {name: ${name}, namespace: ${namespace}}
data: {from: ${value}}
`
}
