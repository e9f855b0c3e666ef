import { existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import { closedEnvironment, runProgram } from '../processes.ts'

/** Paths of the built programs. */
export interface Programs {
  fluxctl: string
  fluxd: string
  operator: string
  /** the CustomResourceDefinitions of the operator */
  crds: string
}

/**
 * Look for everything that a world is made of.
 *
 * @param program the running program's file: ours stand in `bin`, in a folder above it
 * @throws FluxError `DEMO_UNAVAILABLE`
 */
export function findPrograms(program: string): Programs {
  const path = (process.env['PATH'] ?? '').split(delimiter)
  if (!path.some((folder) => existsSync(join(folder, 'git')))) {
    throw new FluxError('DEMO_UNAVAILABLE', {
      what: 'the demo needs the program git, which is not on the PATH',
      next: 'Install Git, and run the demo again.',
    })
  }
  for (let folder = dirname(realpathSync(program)); ; folder = dirname(folder)) {
    const programs = {
      fluxctl: join(folder, 'bin', 'fluxctl.cjs'),
      fluxd: join(folder, 'bin', 'fluxd.cjs'),
      operator: join(folder, 'bin', 'helm-operator.cjs'),
      crds: join(folder, 'deploy', 'crds', 'helmreleases.yaml'),
    }
    if (Object.values(programs).every(existsSync)) return programs
    if (folder === dirname(folder)) break
  }
  throw new FluxError('DEMO_UNAVAILABLE', {
    what: 'the programs in bin, or the files in deploy, are missing',
    next: 'Build them with `npm run build`, or install the package again.',
  })
}

/** Whether there is an `ssh` that works: it wants its user to have a name. */
export async function canUseSsh(home: string, signal: AbortSignal): Promise<boolean> {
  const args = ['-F', 'none', '-G', '127.0.0.1']
  return runProgram({ file: 'ssh', args, env: closedEnvironment(home), signal }).then(
    ({ exitCode }) => exitCode === 0,
    () => false,
  )
}

/** Whether there is a helm on the PATH that the operator can drive. */
export async function canUseHelm(home: string, signal: AbortSignal): Promise<boolean> {
  const args = ['version', '--template={{.Version}}']
  const run = runProgram({ file: 'helm', args, env: closedEnvironment(home), signal })
  const { exitCode, output } = await run.catch(() => ({ exitCode: 1, output: '' }))
  const [, major = 0, minor = 0] = /^v(\d+)\.(\d+)\./.exec(output)?.map(Number) ?? []
  return exitCode === 0 && (major > 3 || (major === 3 && minor >= 17))
}
