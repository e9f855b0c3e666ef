import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { at, textAt } from '../fields.ts'
import type { KubeObject, PrinterColumn, Resource } from '../model.ts'
import { findByPath } from './json-path.ts'
import { type Printer, printer } from './printer.ts'
import { resourcePrinters } from './resources.ts'
import { timeSince } from './text.ts'
import { age, workloadPrinters } from './workloads.ts'

/**
 * Objects as the API server prints them for `kubectl get`: a `meta.k8s.io/v1` Table. The cells are those of
 * Kubernetes 1.36; columns carry no description.
 *
 * Custom resources are printed by their `additionalPrinterColumns`; kinds that nobody knows, by name and creation.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */

/** what each row carries beside its cells: `includeObject` of the request */
export type IncludeObject = 'Metadata' | 'Object' | 'None'

/** @param now in milliseconds since 1970, for ages */
export function toTable(
  resource: Pick<Resource, 'group' | 'plural' | 'custom' | 'columns'>,
  objects: readonly KubeObject[],
  now: number,
  include: IncludeObject = 'Metadata',
): JsonObject {
  const { columns, cells } = printerOf(resource)
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {},
    columnDefinitions: columns.map((column) => ({ ...column })),
    rows: objects.map((object) => ({
      cells: cells(object, now),
      ...rowConditions(resource, object),
      object: rowObject(object, include),
    })),
  }
}

const unknownKind = printer('Created At:date', (object) => [
  at(object, 'metadata.creationTimestamp') ?? '<unknown>',
])
const customKind = printer('Age:date', (object, now) => [age(object, now)])
const customPrinters = new WeakMap<readonly PrinterColumn[], Printer>()

function printerOf({ group, plural, custom, columns }: Parameters<typeof toTable>[0]): Printer {
  if (!custom) {
    const collection = group === '' ? plural : `${plural}.${group}`
    return workloadPrinters[collection] ?? resourcePrinters[collection] ?? unknownKind
  }
  if (columns === undefined || columns.length === 0) return customKind
  let found = customPrinters.get(columns)
  if (found === undefined) {
    found = customPrinter(columns)
    customPrinters.set(columns, found)
  }
  return found
}

function customPrinter(columns: readonly PrinterColumn[]): Printer {
  const [name] = unknownKind.columns
  return {
    columns: [
      ...(name ? [name] : []),
      ...columns.map(({ name, type, format = '', description = '', priority = 0 }) => ({
        name,
        type,
        format,
        description,
        priority,
      })),
    ],
    cells: (object, now) => [
      object.metadata.name,
      ...columns.map(({ type, jsonPath }) => customCell(findByPath(object, jsonPath)[0], type, now)),
    ],
  }
}

/** A value as its column's type wants it; `null` where it is another. */
function customCell(value: JsonValue | undefined, type: string, now: number): JsonValue {
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      return typeof value === 'string' ? timeSince(value, now) : null
    default:
      return typeof value === 'string' ? value : JSON.stringify(value)
  }
}

/** Pods that are through are marked, so that clients can leave them out. */
function rowConditions(
  { group, plural }: Parameters<typeof toTable>[0],
  object: KubeObject,
): { conditions?: JsonObject[] } {
  if (plural !== 'pods' || group !== '') return {}
  const messages: Record<string, string> = {
    Succeeded: 'The pod has completed successfully.',
    Failed: 'The pod failed.',
  }
  const reason = textAt(object, 'status.phase')
  const message = messages[reason]
  return message ? { conditions: [{ type: 'Completed', status: 'True', reason, message }] } : {}
}

function rowObject(object: KubeObject, include: IncludeObject): JsonObject | null {
  if (include === 'None') return null
  if (include === 'Object') return object
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}
