import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'rolldown'
import { bundles } from '../../rolldown.config.ts'

export type ProgramName = 'fluxctl' | 'fluxd' | 'helm-operator'

/** The programs, built from the sources as they are now, in a folder that no later build changes. */
export interface BuiltPrograms extends Disposable {
  readonly folder: string
  /** what Node is started with */
  main(program: ProgramName): string
}

export async function buildPrograms(): Promise<BuiltPrograms> {
  mkdirSync('.cache', { recursive: true })
  // inside the checkout, for they find what is not bundled by going up to its node_modules
  const folder = mkdtempSync(resolve('.cache/programs-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  await build(bundles(folder))
  return {
    folder,
    main: (program) => mainIn(folder, program),
    [Symbol.dispose]() {
      process.off('exit', remove)
      remove()
    },
  }
}

export function mainIn(folder: string, program: ProgramName): string {
  return join(folder, program, 'main.cjs')
}
