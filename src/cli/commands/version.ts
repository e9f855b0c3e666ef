import { defineCommand } from '../command.ts'

export const version = defineCommand({
  flags: [],
  async run({ io, version }) {
    io.out(`${version}\n`)
    return 'done'
  },
})
