/**
 * What a scalar means to Kubernetes, whose YAML library reads YAML 1.1 with habits of its own: `yes` and `off` are
 * booleans, `010` is eight, `0o17` fifteen, `1_000` a thousand, `08` and `1e3` floats; dates and sexagesimals stay
 * text. Vectors made with that library are in `test/fixtures/manifests/scalars.json`.
 *
 * @see https://github.com/kubernetes-sigs/yaml/blob/v1.4.0/goyaml.v2/resolve.go
 */

type Scalar = null | boolean | number | bigint | string

/** Why a scalar cannot be read; the parser adds the place. */
export class UnreadableScalar extends Error {}

const words = new Map<string, Scalar>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((w) => [w, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map(
    (w) => [w, false] as const,
  ),
  ...['', '~', 'null', 'Null', 'NULL'].map((w) => [w, null] as const),
  ...['.nan', '.NaN', '.NAN'].map((w) => [w, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((w) => [w, Number.POSITIVE_INFINITY] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((w) => [w, Number.NEGATIVE_INFINITY] as const),
])

const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|(0|[1-9][0-9]*))$/
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/
const dottedFloat = /^\.[0-9](?:_?[0-9])*(?:[eE][-+]?[0-9](?:_?[0-9])*)?$/
/** with this first character a plain scalar may be something else than text */
const suspicious = /^(?:$|[-+.0-9yYnNtTfFoO~])/

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
const uint64Max = 2n ** 64n - 1n

/**
 * The value of a plain scalar without a tag.
 *
 * Integers come as `number` where that is exact, as `bigint` up to 64 bits, as a rounded `number` beyond. Infinities
 * and NaN are returned as such: JSON has none, so as values (not as keys) the caller refuses them.
 */
export function resolvePlain(text: string): Scalar {
  if (!suspicious.test(text)) return text
  const word = words.get(text)
  if (word !== undefined) return word
  const first = text.charCodeAt(0)
  if (first === 46 /* . */) return dottedFloat.test(text) ? finite(text.replaceAll('_', ''), text) : text
  if (first > 57 /* 9 */) return text
  const digits = text.includes('_') ? text.replaceAll('_', '') : text
  const parts = integer.exec(digits)
  if (parts) {
    const exact = exactInteger(parts)
    if (exact !== undefined) return exact
  }
  return float.test(digits) ? finite(digits, text) : text
}

/** The value of a scalar with an explicit tag, given in full. Unknown tags mean text. */
export function resolveTagged(tag: string, text: string): Scalar {
  const kind = tag.startsWith(yamlTag) ? tag.slice(yamlTag.length) : ''
  const value = resolvePlain(text)
  switch (kind) {
    case 'bool':
      if (typeof value === 'boolean') return value
      break
    case 'null':
      if (value === null) return value
      break
    case 'int':
      if (typeof value === 'bigint' || (typeof value === 'number' && isWrittenAsInteger(text))) return value
      break
    case 'float':
      if (typeof value === 'number') return value
      if (typeof value === 'bigint' && value <= int64.max) return Number(value)
      break
    case 'timestamp':
      if (/^\d{4}-/.test(text)) return text
      break
    case 'binary':
      return decodeBinary(text)
    default:
      return text
  }
  // the text itself may be a secret
  throw new UnreadableScalar(`the value cannot be read as !!${kind}`)
}

export const yamlTag = 'tag:yaml.org,2002:'

/** A key as the text that JSON has: `yes:` is the key `true`, `1:` the key `1`. */
export function keyText(key: Scalar): string {
  if (typeof key === 'string') return key
  if (key === null) throw new UnreadableScalar('a key may not be null')
  if (typeof key === 'bigint' && key > int64.max)
    throw new UnreadableScalar('a key may not be a number as large as this')
  if (typeof key !== 'number' || Number.isInteger(key)) return String(key)
  if (Number.isNaN(key)) return '.nan'
  if (!Number.isFinite(key)) return key > 0 ? '.inf' : '-.inf'
  return String(key)
}

function exactInteger([, sign, hex, octal, binary, decimal]: RegExpExecArray): number | bigint | undefined {
  const literal = hex ? `0x${hex}` : octal ? `0o${octal}` : binary ? `0b${binary}` : decimal
  if (literal === undefined) return undefined
  const positive = Number(literal)
  if (Number.isSafeInteger(positive)) return sign === '-' && positive !== 0 ? -positive : positive
  const exact = sign === '-' ? -BigInt(literal) : BigInt(literal)
  if (exact < int64.min || exact > (sign === '' ? uint64Max : int64.max)) return undefined
  return exact
}

function isWrittenAsInteger(text: string): boolean {
  return integer.test(text.replaceAll('_', ''))
}

/** A float, or the text as it stands where it is out of range. */
function finite(digits: string, text: string): number | string {
  const value = Number(digits)
  if (!Number.isFinite(value)) return text
  return value === 0 ? 0 : value
}

function decodeBinary(text: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)))
  } catch (cause) {
    throw new UnreadableScalar('a !!binary value is not base64', { cause })
  }
}
