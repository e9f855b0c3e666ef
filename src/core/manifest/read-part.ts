import type { JsonValue } from '../json.ts'
import { type Node, readNode } from './node.ts'
import { parseYaml } from './yaml.ts'

export interface YamlDocument {
  root: Node
  value: JsonValue
}

/**
 * Read one part of a stream.
 *
 * @returns its documents: one as a rule, none where there are only comments; offsets count from the part's start
 * @throws UnreadableNode
 */
export function readPart(text: string): YamlDocument[] {
  return parseYaml(text).map((root) => ({ root, value: readNode(root) }))
}
