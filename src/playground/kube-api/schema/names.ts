/**
 * What things may be called, and what the server says where they may not.
 *
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const qualifiedName = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'

const labelRegExp = new RegExp(`^${label}$`)
const label1035RegExp = new RegExp(`^${label1035}$`)
const subdomainRegExp = new RegExp(`^${label}(\\.${label})*$`)
const qualifiedNameRegExp = new RegExp(`^${qualifiedName}$`)

/** What the server says of a text that does not match. */
function mismatch(text: string, regExp: string, ...examples: string[]): string {
  const listed = examples.map((example) => `'${example}'`).join(',  or ')
  return `${text} (e.g. ${listed}, regex used for validation is '${regExp}')`
}

const labelFault = mismatch(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  label,
  'my-name',
  '123-abc',
)
export const labelFault1035 = mismatch(
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  label1035,
  'my-name',
  'abc-123',
)
export const subdomainFault = mismatch(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  `${label}(\\.${label})*`,
  'example.com',
)
const namePartFault = mismatch(
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualifiedName,
  'MyName',
  'my.name',
  '123-abc',
)
const labelKeyFault = mismatch(
  "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualifiedName,
  'MyName',
  'my.name',
  '123-abc',
)
const labelValueFault = mismatch(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  `(${qualifiedName})?`,
  'MyValue',
  'my_value',
  '12345',
)
const configKeyFault = mismatch(
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  '[-._a-zA-Z0-9]+',
  'key.name',
  'KEY_NAME',
  'key-name',
)

const tooLong = (max: number, unit = 'characters') => `must be no more than ${max} ${unit}`

export function isDnsLabel1035(text: string): boolean {
  return text.length <= 63 && label1035RegExp.test(text)
}

export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomainRegExp.test(text)
}

export type NameRule = (name: string) => string[]

export const dnsLabel: NameRule = (name) => [
  ...(name.length > 63 ? [tooLong(63)] : []),
  ...(labelRegExp.test(name) ? [] : [subdomainRegExp.test(name) ? 'must not contain dots' : labelFault]),
]

export const dnsSubdomain: NameRule = (name) => [
  ...(name.length > 253 ? [tooLong(253)] : []),
  ...(subdomainRegExp.test(name) ? [] : [subdomainFault]),
]

/** Names of roles and their like: whatever can stand in a path. */
export const pathSegment: NameRule = (name) => {
  if (name === '.' || name === '..') return [`may not be '${name}'`]
  return ['/', '%'].filter((char) => name.includes(char)).map((char) => `may not contain '${char}'`)
}

/** Keys of labels and annotations. */
export const qualified: NameRule = (key) => {
  const parts = key.split('/')
  const faults: string[] = []
  if (parts.length > 2) {
    return [`${labelKeyFault} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  }
  const [name = '', prefix] = parts.reverse()
  if (prefix !== undefined) {
    if (prefix === '') faults.push('prefix part must be non-empty')
    else faults.push(...dnsSubdomain(prefix).map((fault) => `prefix part ${fault}`))
  }
  if (name === '') faults.push('name part must be non-empty')
  else if (name.length > 63) faults.push(`name part ${tooLong(63, 'bytes')}`)
  if (!qualifiedNameRegExp.test(name)) faults.push(namePartFault)
  return faults
}

export const labelValue: NameRule = (value) => [
  ...(value.length > 63 ? [tooLong(63, 'bytes')] : []),
  ...(value === '' || qualifiedNameRegExp.test(value) ? [] : [labelValueFault]),
]

const wildcardRegExp = new RegExp(`^\\*\\.${label}(\\.${label})*$`)
const wildcardFault = mismatch(
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
  `\\*\\.${label}(\\.${label})*`,
  '*.example.com',
)

/** Hosts of ingresses that begin with a star. */
export const wildcardSubdomain: NameRule = (name) => (wildcardRegExp.test(name) ? [] : [wildcardFault])

/** Names of ports. */
export const portName: NameRule = (name) => {
  const faults = name.length > 15 ? [tooLong(15)] : []
  if (!/^[-a-z0-9]+$/.test(name)) {
    faults.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  }
  if (!/[a-z]/.test(name)) faults.push('must contain at least one letter (a-z)')
  if (name.includes('--')) faults.push('must not contain consecutive hyphens')
  if (name.startsWith('-') || name.endsWith('-')) faults.push('must not begin or end with a hyphen')
  return faults
}

/** Names of environment variables. */
export const variableName: NameRule = (name) =>
  /^[ -<>-~]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"]

/** Names of HTTP headers. */
export const headerName: NameRule = (name) =>
  /^[-A-Za-z0-9]+$/.test(name)
    ? []
    : [
        mismatch(
          "a valid HTTP header must consist of alphanumeric characters or '-'",
          '[-A-Za-z0-9]+',
          'X-Header-Name',
        ),
      ]

/** Keys of ConfigMaps and Secrets. */
export const configKey: NameRule = (key) => {
  const faults = [
    ...(key.length > 253 ? [tooLong(253)] : []),
    ...(/^[-._a-zA-Z0-9]+$/.test(key) ? [] : [configKeyFault]),
  ]
  if (key === '.') return [...faults, `must not be '.'`]
  if (key === '..') return [...faults, `must not be '..'`]
  return key.startsWith('..') ? [...faults, `must not start with '..'`] : faults
}
