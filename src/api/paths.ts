/**
 * Every route of fluxd's HTTP API, shared by the client that calls it and the server that mounts it. Paths stand
 * below `basePath`. A request without a required query parameter doesn't match its route (`spec/flux-v1/http-api.md` §1).
 */
export interface Endpoint {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH'
  readonly path: string
  readonly requiredQuery: readonly string[]
}

export const basePath = '/api/flux'

function endpoint(method: Endpoint['method'], path: string, ...requiredQuery: string[]): Endpoint {
  return { method, path, requiredQuery }
}

export const paths = {
  services: endpoint('GET', '/v6/services'),
  servicesById: endpoint('GET', '/v11/services'),
  imagesV6: endpoint('GET', '/v6/images'),
  images: endpoint('GET', '/v10/images'),
  updateManifests: endpoint('POST', '/v9/update-manifests'),
  job: endpoint('GET', '/v6/jobs', 'id'),
  syncStatus: endpoint('GET', '/v6/sync', 'ref'),
  export: endpoint('GET', '/v6/export'),
  exportHead: endpoint('HEAD', '/v6/export'),
  gitRepoConfig: endpoint('POST', '/v9/git-repo-config'),
  ping: endpoint('GET', '/v11/ping'),
  version: endpoint('GET', '/v11/version'),
  notify: endpoint('POST', '/v11/notify'),
  identity: endpoint('GET', '/v6/identity.pub'),
  regenerateIdentity: endpoint('POST', '/v6/identity.pub'),
  updateImages: endpoint('POST', '/v6/update-images', 'service', 'image', 'kind'),
  updatePolicies: endpoint('PATCH', '/v6/policies'),
} as const satisfies Record<string, Endpoint>

/** A request for a change may bring an id of its own, so that asking again is safe. The original passes over it. */
export const requestIdHeader = 'flux-request-id'

/** Paths of API versions that are gone (410): `/v1/…` to `/v5/…`. */
export const deprecatedPath = /^\/v[1-5]\/./
