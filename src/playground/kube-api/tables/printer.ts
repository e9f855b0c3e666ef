import type { JsonValue } from '../../../core/json.ts'
import type { KubeObject } from '../model.ts'

/** How one kind is printed. */
export interface Printer {
  columns: readonly Column[]
  cells(object: KubeObject, now: number): JsonValue[]
}

export interface Column {
  name: string
  type: string
  format: string
  description: string
  /** above 0 only where the output is wide */
  priority: number
}

/**
 * A printer whose first column is the object's name.
 *
 * @param columns the others, parted by `|`: the name, `:type` where it is no string, `*` where it is for wide output
 * @param cells the others; by default there are none but the age
 */
export function printer(columns: string, cells: (object: KubeObject, now: number) => JsonValue[]): Printer {
  return {
    columns: readColumns(`Name|${columns}`),
    cells: (object, now) => [object.metadata.name, ...cells(object, now)],
  }
}

export function readColumns(columns: string): Column[] {
  return columns.split('|').map((text) => {
    const [, name = '', type = 'string', wide] = /^([^:*]+)(?::(\w+))?(\*)?$/.exec(text) ?? []
    return {
      name,
      type,
      format: name === 'Name' ? 'name' : '',
      description: '',
      priority: wide === undefined ? 0 : 1,
    }
  })
}
