/**
 * Text from elsewhere (fluxd, registries, manifests) on its way to a terminal: control characters, which could move the
 * cursor or set the title, and characters that turn the direction of writing are shown as `\u001b`, not sent.
 */
const unsafe = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Text for one line. Printed JSON keeps its meaning: whatever is unsafe there stands within strings. */
export function escapeLine(text: string): string {
  return text.replace(unsafe, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Text that may have several lines: newlines and tabs stay. */
export function escapeText(text: string): string {
  return text.replace(unsafe, (c) => (c === '\n' || c === '\t' ? c : escapeLine(c)))
}
