import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../../../src/core/json.ts'

/**
 * Manifests printed as people print them: block and flow, every kind of quotes, explicit keys, comments and blank lines
 * anywhere, indents from one to four, both sequence styles, either line break, with or without what may surround a
 * document. Shared values may get anchors, maps may begin with a key that is repeated later, or merge another map.
 */
export interface PrintedManifest {
  text: string
  value: JsonObject
  /** anchors, merges or repeated keys are in it: an edit may have to be refused */
  tricky: boolean
}

export function printedManifests(): fc.Arbitrary<PrintedManifest> {
  return fc
    .record({
      value: deployments(),
      choices: fc.array(fc.nat(0xffff), { minLength: 200, maxLength: 200 }),
      tricks: fc.boolean(),
    })
    .map(({ value, choices, tricks }) => new Printer(choices, tricks).document(value))
}

export const imageTags = () =>
  fc.oneof(
    fc.constantFrom('1.10', '1234567', 'v_0.2.0', '2020-01-01', '1e3', '0x1f', 'yes', 'latest', '1.0.0-rc.1'),
    fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/),
  )

export const policyValues = () =>
  fc.oneof(
    fc.constantFrom('true', 'glob:*', 'semver:~1', 'regexp:(.*?)', 'World User <w@example.com>', 'a: b # c'),
    fc.constantFrom(
      'first\nsecond: line',
      "it's",
      '"quoted"',
      '- x',
      '*',
      '1.10',
      'null',
      ' lead',
      'é',
      '😀',
      'a\tb',
    ),
    fc.string({ minLength: 1, maxLength: 12 }),
  )

const words = () =>
  fc.oneof(
    fc.constantFrom(
      'a',
      'web',
      'yes',
      'on',
      '010',
      '1.10',
      'x: y',
      'a # b',
      "it's",
      '"q"',
      '',
      '~',
      '*',
      '{{ x }}',
    ),
    fc.constantFrom(
      'two words',
      'line\nbreak',
      'three\nlines\n',
      '  lead',
      'trail ',
      '\n',
      'é😀',
      'tab\there',
      '- x',
    ),
    fc.string({ maxLength: 10 }),
  )

function deployments(): fc.Arbitrary<JsonObject> {
  const scalars = fc.oneof(words(), fc.integer(), fc.boolean(), fc.constant(null))
  const values = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 2, depthSize: 'small' },
      scalars,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z][a-zA-Z/.]{0,6}$/), tie('value'), { maxKeys: 3 }),
    ),
  })).value
  const containers = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('main', 'sidecar', 'init'), tag: imageTags(), extra: values }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 3 },
  )
  return fc
    .record({
      annotations: fc.option(
        fc.dictionary(
          fc.constantFrom(
            'fluxcd.io/automated',
            'fluxcd.io/locked',
            'flux.weave.works/tag.main',
            'KEY',
            'a.b/c',
          ),
          words(),
          { maxKeys: 4 },
        ),
      ),
      labels: values,
      containers,
      extra: values,
    })
    .map(({ annotations, labels, containers, extra }) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'app', labels, ...(annotations && { annotations }), namespace: 'demo' },
      extra,
      spec: {
        template: {
          spec: {
            containers: containers.map(({ name, tag, extra }) => ({
              name,
              extra,
              image: `example/${name}:${tag}`,
            })),
          },
        },
      },
    }))
}

const otherWords = /^(?:y|n|yes|no|on|off|true|false|null)$/i

class Printer {
  readonly #choices: readonly number[]
  readonly #tricks: boolean
  #next = 0
  #comments = 0
  #eol = '\n'
  #tricky = false
  readonly #anchors = new Map<string, string>()

  constructor(choices: readonly number[], tricks: boolean) {
    this.#choices = choices
    this.#tricks = tricks
  }

  document(value: JsonObject): PrintedManifest {
    const crlf = this.#one(5)
    const body = this.#block(value, 0).replace(/^\n/, '')
    let text = `${this.#one(3) ? '---\n' : ''}${this.#gap(0)}${body}\n`
    if (this.#one(8)) text = `%YAML 1.1\n---\n${body}\n`
    if (this.#one(4))
      text = `# first\n---\nkind: Namespace\napiVersion: v1\nmetadata: {name: demo}\n---\n${body}\n`
    const ending = this.#pick(6)
    if (ending === 0) text += '...\n'
    if (ending === 1) text += '---\n# nothing here\n'
    if (ending === 2 && /[\w'"}\]]\n$/.test(text)) text = text.slice(0, -1)
    if (this.#one(6)) text = `\ufeff${text}`
    if (crlf) this.#eol = '\r\n'
    return { text: text.replaceAll('\n', this.#eol), value, tricky: this.#tricky }
  }

  #pick(count: number): number {
    const choice = this.#choices[this.#next++ % this.#choices.length] ?? 0
    return (choice + this.#next * 7) % count
  }

  #one(of: number): boolean {
    return this.#pick(of) === 0
  }

  #comment(): string {
    return `# c${this.#comments++}`
  }

  #endOfLine(): string {
    return this.#one(6) ? `${this.#one(2) ? '  ' : '\t'}${this.#comment()}` : this.#one(12) ? ' ' : ''
  }

  /** comment lines and blank lines between entries */
  #gap(indent: number): string {
    if (this.#one(8)) return `${' '.repeat(indent)}${this.#comment()}\n`
    return this.#one(10) ? '\n' : ''
  }

  /** A value below its key or dash: begins with a line break or a blank, ends without a line break. */
  #block(value: JsonValue, indent: number, afterDash = false): string {
    if (Array.isArray(value) && value.length > 0 && !this.#one(5))
      return this.#blockSequence(value, indent, afterDash)
    if (isMap(value) && Object.keys(value).length > 0 && !this.#one(6))
      return this.#blockMap(value, indent, afterDash)
    if (typeof value === 'object' && value !== null)
      return ` ${this.#flow(value, indent + 1)}${this.#endOfLine()}`
    return this.#scalarLine(value, indent)
  }

  #blockMap(map: JsonObject, indent: number, afterDash: boolean): string {
    const pad = ' '.repeat(indent)
    const entries = Object.entries(map)
    if (this.#tricks && this.#one(9)) {
      this.#tricky = true
      entries.unshift([entries[0]?.[0] ?? '', 'repeated'])
    }
    const lines = entries.map(([key, value], index) => {
      const start = afterDash && index === 0 ? ' ' : `\n${this.#gap(indent)}${pad}`
      const child = indent + 1 + this.#pick(4)
      if (this.#one(12) && start !== ' ')
        return `${start}? ${this.#key(key)}\n${pad}:${this.#block(value, child)}`
      const sequenceIndent = Array.isArray(value) && this.#one(2) ? indent : child
      return `${start}${this.#key(key)}:${this.#block(value, sequenceIndent)}`
    })
    return lines.join('')
  }

  #blockSequence(items: JsonValue[], indent: number, afterDash: boolean): string {
    const pad = ' '.repeat(indent)
    const child = indent + 2
    return items
      .map((item, index) => {
        const start = afterDash && index === 0 ? ' ' : `\n${this.#gap(indent)}${pad}`
        return `${start}-${this.#block(item, child, true)}`
      })
      .join('')
  }

  #flow(value: JsonValue, indent: number): string {
    const wide = this.#one(3)
    const pad = wide ? `\n${' '.repeat(indent)}` : ''
    const comma = wide && this.#one(3) ? `, ${this.#comment()}` : ','
    const wrap = (open: string, items: string[], close: string) => {
      if (items.length === 0) return open + close
      const trailing = this.#one(6) ? ',' : ''
      return `${open}${items.map((item) => pad + item).join(wide ? comma : ', ')}${trailing}${pad}${close}`
    }
    if (Array.isArray(value))
      return wrap(
        '[',
        value.map((item) => this.#flow(item, indent + 1)),
        ']',
      )
    if (isMap(value)) {
      const entries = Object.entries(value).map(
        ([key, held]) => `${this.#key(key)}: ${this.#flow(held, indent + 1)}`,
      )
      return wrap('{', entries, '}')
    }
    return typeof value === 'string' ? this.#quoted(value) : String(value)
  }

  #key(key: string): string {
    return this.#one(8) || otherWords.test(key) ? this.#quoted(key) : key
  }

  #scalarLine(value: JsonValue, indent: number): string {
    if (value === null) return this.#one(2) ? ' null' : ''
    if (typeof value !== 'string') return ` ${value}${this.#endOfLine()}`
    if (this.#tricks && value.length > 2) {
      const anchor = this.#anchors.get(value)
      if (anchor && this.#one(2)) return ` *${anchor}${this.#endOfLine()}`
      if (this.#one(6)) {
        this.#tricky = true
        const name = `a${this.#anchors.size}`
        this.#anchors.set(value, name)
        return ` &${name} ${this.#quoted(value)}${this.#endOfLine()}`
      }
    }
    const isBlock =
      /^[a-z][a-z ]*(?:\n[a-z]+)*\n?$/.test(value) && !value.includes(' \n') && !value.endsWith(' ')
    if (isBlock && this.#one(3)) {
      const header = `${this.#one(4) ? '>' : '|'}${value.endsWith('\n') ? '' : '-'}`
      if (header.startsWith('|') || !value.trimEnd().includes('\n')) {
        const pad = ' '.repeat(Math.max(indent, 1) + 1)
        const lines = value
          .replace(/\n$/, '')
          .split('\n')
          .map((line) => `\n${pad}${line}`)
        return ` ${header}${this.#one(4) ? ` ${this.#comment()}` : ''}${lines.join('')}`
      }
    }
    const isPlain = /^[a-z][a-z0-9/.]*(?::[a-z0-9/.]+)*(?: [a-z]+)*$/.test(value) && !otherWords.test(value)
    if (isPlain && !this.#one(3)) return ` ${value}${this.#endOfLine()}`
    return ` ${this.#one(12) ? '!!str ' : ''}${this.#quoted(value)}${this.#endOfLine()}`
  }

  #quoted(text: string): string {
    const isPrintable = /^[\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe]*$/.test(text)
    if (isPrintable && this.#one(2)) return `'${text.replaceAll("'", "''")}'`
    return JSON.stringify(text).replace(
      /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  }
}

function isMap(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
