import type { JsonValue } from '../json.ts'
import { type Node, readNode, UnreadableNode } from './node.ts'
import { readLenient } from './read-lenient.ts'
import { readStrict } from './read-strict.ts'

export interface YamlDocument {
  root: Node
  value: JsonValue
}

/**
 * Read one part of a stream, with the second parser where the first one is too strict.
 *
 * @returns its documents: one as a rule, none where there are only comments; offsets count from the part's start
 * @throws UnreadableNode of the first parser, where neither can read it
 */
export function readPart(text: string): YamlDocument[] {
  return readRoots(text).map((root) => ({ root, value: readNode(root) }))
}

function readRoots(text: string): Node[] {
  try {
    return readStrict(text)
  } catch (cause) {
    if (!(cause instanceof UnreadableNode) || cause.fault !== 'syntax') throw cause
    try {
      return readLenient(text)
    } catch (second) {
      // a RangeError is the second parser's stack, used up by deep nesting
      if (second instanceof UnreadableNode || second instanceof RangeError) throw cause
      throw second
    }
  }
}
