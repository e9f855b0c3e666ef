import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FluxError } from '../../src/core/errors.ts'
import { formatDuration, parseDuration, parseFlags, quote } from '../../src/runtime/flags.ts'

const flags = [
  { name: 'all', short: 'a', type: 'bool', summary: '' },
  { name: 'secure', type: 'bool', default: true, summary: '' },
  { name: 'namespace', short: 'n', type: 'string', default: 'default', env: ['NS_OLD', 'NS'], summary: '' },
  { name: 'limit', short: 'l', type: 'int', default: 10, summary: '' },
  { name: 'rate', type: 'float', summary: '' },
  { name: 'verbose', short: 'v', type: 'count', summary: '' },
  { name: 'timeout', type: 'duration', default: 60_000, env: ['TIMEOUT'], summary: '' },
  { name: 'git-path', type: 'strings', default: ['.'], summary: '' },
  { name: 'labels', type: 'map', default: new Map([['app', 'flux']]), summary: '' },
  { name: 'old', short: 'o', type: 'string', deprecated: 'use --new', summary: '' },
] as const

function failure(...argv: string[]): string {
  try {
    parseFlags(flags, argv)
  } catch (error) {
    expect(error).toBeInstanceOf(FluxError)
    expect((error as FluxError).code).toBe('FLAG_INVALID')
    return (error as FluxError).what
  }
  return 'it was read'
}

test('gives defaults where nothing is said', () => {
  const { values, given, args } = parseFlags(flags, [])

  expect(values).toEqual({
    all: false,
    secure: true,
    namespace: 'default',
    limit: 10,
    rate: 0,
    verbose: 0,
    timeout: 60_000,
    gitPath: ['.'],
    labels: new Map([['app', 'flux']]),
    old: '',
  })
  expect(given.size).toBe(0)
  expect(args).toEqual([])
})

describe('forms', () => {
  test.each<{ argv: string[]; gives: object }>([
    { argv: ['--namespace=demo'], gives: { namespace: 'demo' } },
    { argv: ['--namespace', 'demo'], gives: { namespace: 'demo' } },
    { argv: ['--namespace='], gives: { namespace: '' } },
    { argv: ['--namespace', '--all'], gives: { namespace: '--all', all: false } },
    { argv: ['-n', 'demo'], gives: { namespace: 'demo' } },
    { argv: ['-ndemo'], gives: { namespace: 'demo' } },
    { argv: ['-n=demo'], gives: { namespace: 'demo' } },
    { argv: ['-n='], gives: { namespace: '=' } },
    { argv: ['-n', 'demo', '-n', 'dev'], gives: { namespace: 'dev' } },
    { argv: ['--all'], gives: { all: true } },
    { argv: ['--all', '--all=false'], gives: { all: false } },
    { argv: ['-a=false'], gives: { all: false } },
    { argv: ['-a=T'], gives: { all: true } },
    { argv: ['--secure=0'], gives: { secure: false } },
    { argv: ['-an', 'dev'], gives: { all: true, namespace: 'dev' } },
    { argv: ['-vavn=dev'], gives: { all: true, verbose: 2, namespace: 'dev' } },
    { argv: ['-vv', '--verbose'], gives: { verbose: 3 } },
    { argv: ['--verbose=2'], gives: { verbose: 2 } },
    { argv: ['-v=3'], gives: { verbose: 3 } },
    { argv: ['--limit=0x10'], gives: { limit: 16 } },
    { argv: ['-l', '-1'], gives: { limit: -1 } },
    { argv: ['--limit=017'], gives: { limit: 15 } },
    { argv: ['--limit=1_000'], gives: { limit: 1000 } },
    { argv: ['--rate=1.5e2'], gives: { rate: 150 } },
    { argv: ['--timeout=1h30m'], gives: { timeout: 5_400_000 } },
    { argv: ['--git-path=a,b'], gives: { gitPath: ['a', 'b'] } },
    { argv: ['--git-path=a', '--git-path', 'b,c'], gives: { gitPath: ['a', 'b', 'c'] } },
    { argv: ['--git-path='], gives: { gitPath: [] } },
    { argv: ['--git-path="a,b",c'], gives: { gitPath: ['a,b', 'c'] } },
    { argv: ['--git-path="say ""hi""",'], gives: { gitPath: ['say "hi"', ''] } },
    { argv: ['--labels=a=b'], gives: { labels: new Map([['a', 'b']]) } },
    { argv: ['--labels=a=b,c=d'], gives: { labels: new Map([['a', 'b'], ['c', 'd']]) } }, // biome-ignore format: a row
    { argv: ['--labels=a=b', '--labels=a=c'], gives: { labels: new Map([['a', 'c']]) } },
    { argv: ['--labels="a=b,c"'], gives: { labels: new Map([['a', 'b,c']]) } },
  ])('reads $argv', ({ argv, gives }) => {
    expect(parseFlags(flags, argv).values).toMatchObject(gives)
  })

  test('keeps words that are no flags, in order, wherever they stand', () => {
    const { values, args, given } = parseFlags(flags, ['one', '-n', 'demo', '-', 'two', '--', '-a', '--x'])

    expect(args).toEqual(['one', '-', 'two', '-a', '--x'])
    expect(values.all).toBe(false)
    expect([...given]).toEqual(['namespace'])
  })
})

describe('refuses, in the words of pflag', () => {
  test.each<[string, ...string[]]>([
    ['unknown flag: --x', '--x'],
    ['unknown flag: --x', '--x=1'],
    ["unknown shorthand flag: 'x' in -x", '-x'],
    ["unknown shorthand flag: 'x' in -xyz", '-axyz'],
    ['bad flag syntax: ---x', '---x'],
    ['bad flag syntax: --=x', '--=x'],
    ['flag needs an argument: --namespace', '--namespace'],
    ["flag needs an argument: 'n' in -n", '-an'],
    [
      'invalid argument "perhaps" for "-a, --all" flag: strconv.ParseBool: parsing "perhaps": invalid syntax',
      '--all=perhaps',
    ],
    [
      'invalid argument "many" for "-l, --limit" flag: strconv.ParseInt: parsing "many": invalid syntax',
      '-l',
      'many',
    ],
    ['invalid argument "" for "-l, --limit" flag: strconv.ParseInt: parsing "": invalid syntax', '--limit='],
    [
      'invalid argument "1__0" for "-l, --limit" flag: strconv.ParseInt: parsing "1__0": invalid syntax',
      '--limit=1__0',
    ],
    [
      'invalid argument "9223372036854775808" for "-l, --limit" flag: strconv.ParseInt: parsing "9223372036854775808": value out of range',
      '--limit=9223372036854775808',
    ],
    ['invalid argument "x" for "--rate" flag: strconv.ParseFloat: parsing "x": invalid syntax', '--rate=x'],
    ['invalid argument "xx" for "--timeout" flag: time: invalid duration "xx"', '--timeout=xx'],
    ['invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"', '--timeout=5'],
    ['invalid argument "5d" for "--timeout" flag: time: unknown unit "d" in duration "5d"', '--timeout=5d'],
    ['invalid argument "x" for "--labels" flag: x must be formatted as key=value', '--labels=x'],
    [
      'invalid argument "a=b,c,d=e" for "--labels" flag: c must be formatted as key=value',
      '--labels=a=b,c,d=e',
    ],
    [
      'invalid argument "a\\"b" for "--git-path" flag: parse error on line 1, column 2: bare " in non-quoted-field',
      '--git-path=a"b',
    ],
    [
      'invalid argument "\\"a" for "--git-path" flag: parse error on line 1, column 3: extraneous or missing " in quoted-field',
      '--git-path="a',
    ],
  ])('%s', (what, ...argv) => {
    expect(failure(...argv)).toBe(what)
  })
})

describe('the environment', () => {
  test('stands in for a flag that is not given, and the last variable that is set wins', () => {
    const env = { NS_OLD: 'old', NS: 'new', TIMEOUT: '5s' }

    expect(parseFlags(flags, [], { env }).values).toMatchObject({ namespace: 'new', timeout: 5000 })
    expect(parseFlags(flags, ['-n', 'x'], { env }).values.namespace).toBe('x')
    expect(parseFlags(flags, [], { env: { ...env, NS: '' } }).values.namespace).toBe('old')
    expect([...parseFlags(flags, [], { env }).given]).toEqual([])
  })

  test('is passed over where it cannot be read', () => {
    expect(parseFlags(flags, [], { env: { TIMEOUT: 'garbage' } }).values.timeout).toBe(60_000)
  })
})

test('says what to use in place of a deprecated flag, each time', () => {
  const lines: string[] = []

  parseFlags(flags, ['-o', 'a', '--old=b'], { warn: (line) => lines.push(line) })

  const line = 'Flag --old has been deprecated, use --new'
  expect(lines).toEqual([line, line])
})

describe('durations', () => {
  test.each([
    ['0', 0],
    ['300ms', 300],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1m0s', 60_000],
    ['2h45m', 9_900_000],
    ['-1m', -60_000],
    ['+1s', 1000],
    ['10us', 0.01],
    ['10µs', 0.01],
  ])('reads %s', (text, durationMs) => {
    expect(parseDuration(text)).toBeCloseTo(durationMs, 9)
  })

  test.each(['', '-', '1', 's', '1 s', '1s ', '--1s', '1.2.3s', '9999999999999h'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow('duration')
  })

  test.each([
    [0, '0s'],
    [0.01, '10µs'],
    [300, '300ms'],
    [1500, '1.5s'],
    [60_000, '1m0s'],
    [9_900_000, '2h45m0s'],
    [-60_000, '-1m0s'],
  ])('prints %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text)
  })

  test('what it prints, it reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBeCloseTo(durationMs, 3)
      }),
    )
  })
})

test('whatever stands after the equals sign of a text flag is its value', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseFlags(flags, [`--namespace=${text}`]).values.namespace).toBe(text)
    }),
  )
})

test('lists come back from CSV as they went in', () => {
  const field = fc.string().map((text) => text.replace(/[\r\n]/g, ''))
  fc.assert(
    fc.property(fc.array(field, { minLength: 1 }), (fields) => {
      const csv = fields.map((text) => `"${text.replaceAll('"', '""')}"`).join(',')
      expect(parseFlags(flags, [`--git-path=${csv}`]).values.gitPath).toEqual(fields)
    }),
  )
})

test('quotes as Go does', () => {
  expect(quote('a"b\\c\n\x1b\u202e\u{e0001}é')).toBe('"a\\"b\\\\c\\n\\x1b\\u202e\\U000e0001é"')
})

test('a flag that nobody knows is answered with the one that was meant', () => {
  const flags = [
    { name: 'workload', type: 'string', summary: '' },
    { name: 'wordload', type: 'string', deprecated: 'use --workload', summary: '' },
  ] as const

  expect(() => parseFlags(flags, ['--workloat=x'])).toThrow(
    expect.objectContaining({ message: 'unknown flag: --workloat', next: 'Did you mean --workload?' }),
  )
})
