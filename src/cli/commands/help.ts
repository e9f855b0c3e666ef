import { defineCommand } from '../command.ts'
import { findCommand } from '../commands.ts'
import { commandHelp, overview } from '../help.ts'

export const help = defineCommand({
  flags: [],
  words: '[COMMAND]',
  examples: ['fluxctl help release'],
  async run({ io }, { words: [word] }) {
    const entry = word === undefined ? undefined : findCommand(word)
    if (word !== undefined && !entry) io.say(`Unknown help topic [\`${word}\`]\n${overview()}`)
    else io.out(entry ? commandHelp(entry, await entry.load()) : overview())
    return 'done'
  },
})
