import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Commands that a page shows, and what it says that they print. */
export interface ShownCommand {
  /** with the lines of a here-document */
  command: string
  output: string
  /** in the page */
  line: number
}

/** What stands in the `console` blocks of a page: `$` begins a command, `>` goes on with it. */
export function shownCommands(page: string): ShownCommand[] {
  const found: ShownCommand[] = []
  let inBlock = false
  for (const [index, text] of readFileSync(page, 'utf8').split('\n').entries()) {
    if (text.startsWith('```')) {
      inBlock = text === '```console'
      continue
    }
    if (!inBlock) continue
    const last = found.at(-1)
    if (text.startsWith('$ ')) found.push({ command: text.slice(2), output: '', line: index + 1 })
    else if (last && last.output === '' && text.startsWith('> ')) last.command += `\n${text.slice(2)}`
    else if (last) last.output += `${text}\n`
  }
  return found
}

/** One shell, in which commands are run one after the other. */
export interface Shell extends AsyncDisposable {
  /** @returns both outputs, and the exit code */
  run(command: string): Promise<{ output: string; exitCode: number }>
}

export function startShell(env: Readonly<Record<string, string>>, cwd: string): Shell {
  const child = spawn('sh', [], { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  const end = /^END OF OUTPUT (\d+)\n/m
  let output = ''
  let check = () => {}
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      check()
    })
  }
  return {
    run: (command) =>
      new Promise((resolve) => {
        output = ''
        check = () => {
          const [marker, code] = end.exec(output) ?? []
          if (marker !== undefined) {
            resolve({ output: output.slice(0, output.indexOf(marker)), exitCode: Number(code) })
          }
        }
        child.stdin.write(`exec 2>&1\n${command}\necho "END OF OUTPUT $?"\n`)
      }),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      child.kill()
    },
  }
}

/** What differs from run to run, made the same: ports, hashes, times, ids, temporary folders, the width of columns. */
export function withoutChance(text: string): string {
  return text
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID')
    .replace(/\bsha256:[0-9a-f]{64}\b/g, 'DIGEST')
    .replace(/\b[0-9a-f]{40}\b/g, 'REVISION')
    .replace(/\b[0-9a-f]{7}\b/g, 'SHORT')
    .replace(/\b\d\d \w{3} \d\d \d\d:\d\d UTC\b/g, 'TIME')
    .replace(/\/tmp\/fluxctl-demo-\w+/g, 'FOLDER')
    .replace(/[ \t]+/g, ' ')
    .replace(/ $/gm, '')
    .trimEnd()
}
