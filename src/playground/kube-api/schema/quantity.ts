/**
 * Amounts such as `500m`, `1.5Gi` and `2e3`, in the one way of writing each that the API server answers with.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

const decimal = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const billion = 1_000_000_000n
const canonical = new Map<string, string>()

export const quantityFault =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

/** @returns `undefined` where the text is no quantity */
export function canonicalQuantity(text: string): string | undefined {
  const known = canonical.get(text)
  if (known !== undefined) return known
  const written = write(text.trim())
  if (written !== undefined && canonical.size < 10_000) canonical.set(text, written)
  return written
}

function write(text: string): string | undefined {
  const amount = readQuantity(text)
  if (amount === undefined) return undefined
  const { nanos, format } = amount
  const size = nanos < 0n ? -nanos : nanos
  if (nanos === 0n) return '0'
  if (format === 'binary' && size >= 1024n * billion && size % billion === 0n) {
    let number = nanos / billion
    let suffix = ''
    for (const next of binary) {
      if (number % 1024n !== 0n) break
      number /= 1024n
      suffix = next
    }
    return `${number}${suffix}`
  }
  let number = nanos
  let at = 0
  while (number % 1000n === 0n && at < decimal.length - 1) {
    number /= 1000n
    at++
  }
  const exponent = (at - 3) * 3
  if (format === 'exponent') return exponent === 0 ? `${number}` : `${number}e${exponent}`
  return `${number}${decimal[at]}`
}

/** The same amount in whole thousandths, or a little more. */
export function quantityRoundedUp(text: string): string {
  const amount = readQuantity(text)
  const million = 1_000_000n
  if (amount === undefined || amount.nanos <= 0n || amount.nanos % million === 0n) return text
  return canonicalQuantity(`${(amount.nanos + million - 1n) / million}m`) ?? text
}

/** In billionths, the finest that is kept; what is finer is rounded up. */
export function readQuantity(
  text: string,
): { nanos: bigint; format: 'decimal' | 'binary' | 'exponent' } | undefined {
  const [, sign = '', whole = '', fraction = '', suffix = ''] =
    /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][-+]?\d+)?$/.exec(text) ?? []
  if (whole === '' && fraction === '') return undefined
  let factor = billion
  let exponent = 0
  let format: 'decimal' | 'binary' | 'exponent' = 'decimal'
  if (binary.includes(suffix)) {
    format = 'binary'
    factor *= 1024n ** BigInt(binary.indexOf(suffix) + 1)
  } else if (decimal.includes(suffix)) exponent = (decimal.indexOf(suffix) - 3) * 3
  else {
    format = 'exponent'
    exponent = Number(suffix.slice(1))
    if (Math.abs(exponent) > 1000) return undefined
  }
  let numerator = BigInt(whole + fraction) * factor
  let denominator = 10n ** BigInt(fraction.length)
  if (exponent >= 0) numerator *= 10n ** BigInt(exponent)
  else denominator *= 10n ** BigInt(-exponent)
  const nanos = (numerator + denominator - 1n) / denominator
  return { nanos: sign === '-' ? -nanos : nanos, format }
}
