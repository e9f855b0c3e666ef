import { FluxError } from '../errors.ts'

/** Names of Helm releases. Follows `spec/helm-operator.md` §1.4. */

const longest = 53
const form = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** The name of a release that its HelmRelease doesn't name. */
export function defaultReleaseName(namespace: string, targetNamespace: string, name: string): string {
  return namespace === targetNamespace ? `${namespace}-${name}` : `${namespace}-${targetNamespace}-${name}`
}

/** @throws FluxError `HELM_RELEASE_NAME_INVALID` for what Helm would refuse */
export function checkReleaseName(name: string): void {
  if (name.length <= longest && form.test(name)) return
  throw new FluxError('HELM_RELEASE_NAME_INVALID', {
    what: `release name is invalid: ${name}`,
    why:
      name.length > longest
        ? `It has ${name.length} characters, and Helm takes at most ${longest}.`
        : 'Helm takes lower-case letters, digits, - and . only.',
    next: 'Set spec.releaseName to a shorter or plainer name.',
  })
}
