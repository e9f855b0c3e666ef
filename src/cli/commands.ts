import { similarNames } from '../core/similar.ts'
import type { Command } from './command.ts'

/** A row of the command tree; only a command that is named, or asked help for, is loaded. */
export interface CommandEntry {
  name: string
  aliases?: readonly string[]
  /** v1 does not have it, so its exit codes are those of the full table */
  isNew?: true
  /** one line for help, without a full stop */
  summary: string
  load(): Promise<Command>
}

/** In the order of their names, which is how help lists them. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'automate',
    summary: 'let fluxd release new images of a workload by itself',
    load: async () => (await import('./commands/automate.ts')).automate,
  },
  {
    name: 'deautomate',
    summary: 'release images of a workload only when asked',
    load: async () => (await import('./commands/deautomate.ts')).deautomate,
  },
  {
    name: 'demo',
    isNew: true,
    summary: 'see it all work on this machine, without a cluster',
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  {
    name: 'help',
    summary: 'tell about fluxctl or one of its commands',
    load: async () => (await import('./commands/help.ts')).help,
  },
  {
    name: 'identity',
    summary: 'show the SSH key that fluxd presents to Git',
    load: async () => (await import('./commands/identity.ts')).identity,
  },
  {
    name: 'list-images',
    summary: 'show the images that workloads run and could run',
    load: async () => (await import('./commands/list-images.ts')).listImages,
  },
  {
    name: 'list-workloads',
    aliases: ['list-controllers'],
    summary: 'show workloads, their images and policies',
    load: async () => (await import('./commands/list-workloads.ts')).listWorkloads,
  },
  {
    name: 'lock',
    summary: 'keep the images of a workload as they are',
    load: async () => (await import('./commands/lock.ts')).lock,
  },
  {
    name: 'migrate',
    isNew: true,
    summary: 'rewrite older HelmReleases in the files of a clone',
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  {
    name: 'policy',
    summary: 'change several policies of a workload in one commit',
    load: async () => (await import('./commands/policy.ts')).policy,
  },
  {
    name: 'release',
    summary: 'change images in Git, and so in the cluster',
    load: async () => (await import('./commands/release.ts')).release,
  },
  {
    name: 'sync',
    summary: 'apply what Git says, now',
    load: async () => (await import('./commands/sync.ts')).sync,
  },
  {
    name: 'unlock',
    summary: 'let the images of a workload change again',
    load: async () => (await import('./commands/unlock.ts')).unlock,
  },
  {
    name: 'version',
    summary: 'print the version of fluxctl',
    load: async () => (await import('./commands/version.ts')).version,
  },
]

/** By name or alias. */
export function findCommand(word: string): CommandEntry | undefined {
  return commands.find(({ name, aliases }) => name === word || aliases?.includes(word))
}

/** Names that a mistyped word may have meant: up to two letters wrong, or its beginning. */
export function similarCommands(word: string): string[] {
  return similarNames(
    word,
    commands.map(({ name }) => name),
  )
}
