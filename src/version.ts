/** Put in by the build, from `package.json`. */
declare const PACKAGE_VERSION: string | undefined

/** The version of the programs; `unversioned`, as v1 says, where the sources run unbuilt. */
export const version: string = typeof PACKAGE_VERSION === 'string' ? PACKAGE_VERSION : 'unversioned'
