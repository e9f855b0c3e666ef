import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import type { Cause } from '../rest/status.ts'
import { duplicate, invalidValue, notSupported, required } from './causes.ts'
import type { NameRule } from './names.ts'
import { readQuantity } from './quantity.ts'

/** A place in an object that is being checked: its value, its path, and what was found wrong so far. */
export class Place {
  readonly path: string
  readonly value: JsonValue | undefined
  readonly causes: Cause[]

  constructor(value: JsonValue | undefined, path: string, causes: Cause[]) {
    this.value = value
    this.path = path
    this.causes = causes
  }

  at(field: string): Place {
    const value = isJsonObject(this.value) && Object.hasOwn(this.value, field) ? this.value[field] : undefined
    return new Place(value, this.path === '' ? field : `${this.path}.${field}`, this.causes)
  }

  /** An entry of a map: `limits[cpu]`. */
  key(key: string): Place {
    const value = isJsonObject(this.value) ? this.value[key] : undefined
    return new Place(value, `${this.path}[${key}]`, this.causes)
  }

  /** The same value under another name, where the server has one. */
  under(path: string): Place {
    return new Place(this.value, path, this.causes)
  }

  get items(): Place[] {
    const list = Array.isArray(this.value) ? this.value : []
    return list.map((item, at) => new Place(item, `${this.path}[${at}]`, this.causes))
  }

  get object(): JsonObject {
    return isJsonObject(this.value) ? this.value : {}
  }

  get text(): string {
    return typeof this.value === 'string' ? this.value : ''
  }

  get number(): number | undefined {
    // long integers are bigints; no bound is near what that loses
    return typeof this.value === 'number' || typeof this.value === 'bigint' ? Number(this.value) : undefined
  }

  get isSet(): boolean {
    return this.value !== undefined && this.value !== null
  }

  get isEmpty(): boolean {
    if (Array.isArray(this.value)) return this.value.length === 0
    if (isJsonObject(this.value)) return Object.keys(this.value).length === 0
    return this.value === undefined || this.value === null || this.value === ''
  }

  add(...causes: Cause[]): void {
    this.causes.push(...causes)
  }

  /** @returns whether something is there */
  require(detail?: string): boolean {
    if (!this.isEmpty) return true
    this.add(required(this.path, detail))
    return false
  }

  invalid(detail: string, value: JsonValue | undefined = this.value): void {
    this.add(invalidValue(this.path, value, detail))
  }

  forbid(detail: string): void {
    this.add({ reason: 'FieldValueForbidden', message: `Forbidden: ${detail}`, field: this.path })
  }

  /** Of the choices where it is set. */
  oneOf(choices: readonly string[]): void {
    if (this.isSet && !choices.includes(this.text)) this.add(notSupported(this.path, this.value, choices))
  }

  named(rule: NameRule): void {
    for (const fault of rule(this.text)) this.invalid(fault)
  }

  atLeast(least: number): void {
    const { number } = this
    if (number !== undefined && number < least) this.invalid(`must be greater than or equal to ${least}`)
  }

  within(least: number, most: number): void {
    const { number } = this
    if (number !== undefined && (number < least || number > most)) {
      this.invalid(`must be between ${least} and ${most}, inclusive`)
    }
  }

  /** No two items have the same value at a field; empty ones do not count. */
  unique(field: string): void {
    const seen = new Set<string>()
    for (const item of this.items) {
      const name = item.at(field)
      if (name.text === '') continue
      if (seen.has(name.text)) name.add(duplicate(name.path, name.text))
      seen.add(name.text)
    }
  }

  /** A port by number, or by name. */
  port(rule: NameRule): void {
    if (typeof this.value === 'string') this.named(rule)
    else this.within(1, 65_535)
  }

  /** In billionths. */
  get amount(): bigint | undefined {
    return typeof this.value === 'string' ? readQuantity(this.value)?.nanos : undefined
  }
}
