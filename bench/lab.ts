import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type GitServer, gitServer } from '../src/playground/git/server.ts'
import {
  type AuditEntry,
  type ControlPlane,
  controlPlaneAssets,
  startControlPlane,
} from '../src/playground/kube/control-plane.ts'
import { createFolder } from '../src/playground/processes.ts'
import { startRegistry, type TestRegistry } from '../src/playground/registry/registry.ts'
import { type BuiltPrograms, buildPrograms } from '../test/support/built-programs.ts'
import { helm, kubectl } from '../test/support/neighbours.ts'
import { type BenchAgent, startAgent } from './agent.ts'
import { type Fleet, filesOf } from './fleet.ts'
import { runProgram } from './measure.ts'

/** What rows stand on. What several of them want is made once, by the first that asks. */
export interface Lab extends AsyncDisposable {
  readonly programs: BuiltPrograms
  /** how often a row measures what is costly to measure */
  readonly runs: number
  /** a folder for files of rows */
  readonly folder: string
  /** path of kubectl, where there is one */
  readonly kubectl: string | undefined
  /** an API server that rows share */
  plane(): Promise<ControlPlane>
  /** 1,000 applications that fluxd has synced, and 100,000 tags that it has listed */
  big(): Promise<BigWorld>
  /** Write a fleet as files, for kubectl. @returns the folder */
  writeFleet(fleet: Fleet): Promise<string>
  /** Let something be closed in the end. */
  use<T extends AsyncDisposable>(part: T): T
}

export interface BigWorld {
  fleet: Fleet
  plane: ControlPlane
  upstream: GitServer
  registry: TestRegistry
  agent: BenchAgent
  /** of the first look at the registry, until nothing more was asked for */
  coldScan: { lists: number; others: number; listedMs: number }
}

/** so many applications have images of their own, with so many tags; the others share one */
export const ownImages = 100
export const tagsEach = 1_000
export const fullPassMs = 20_000

/** What can't be had here, and so which rows can't run. */
export const needs = {
  cluster: () => (controlPlaneAssets() === undefined ? 'KUBEBUILDER_ASSETS is not set' : undefined),
  helm: () => (helm('4.2') === undefined ? 'helm 4.2 is missing: npm run neighbours' : undefined),
  kubectl: () => (kubectl('1.36') === undefined ? 'kubectl 1.36 is missing: npm run neighbours' : undefined),
}

/** What rows of a lab share: made by the first that asks. */
export function perLab<T>(open: (lab: Lab) => Promise<T>): (lab: Lab) => Promise<T> {
  const made = new WeakMap<Lab, Promise<T>>()
  return (lab) => {
    const known = made.get(lab) ?? open(lab)
    made.set(lab, known)
    return known
  }
}

export async function openLab(runs: number): Promise<Lab> {
  const closers: (() => PromiseLike<unknown>)[] = []
  const use = <T extends AsyncDisposable>(part: T): T => {
    closers.push(() => part[Symbol.asyncDispose]())
    return part
  }
  const { path: folder, remove } = await createFolder('bench-')
  closers.push(remove)
  const programs = await buildPrograms()
  closers.push(async () => programs[Symbol.dispose]())
  let plane: Promise<ControlPlane> | undefined
  let big: Promise<BigWorld> | undefined
  return {
    programs,
    runs,
    folder,
    kubectl: kubectl('1.36'),
    use,
    plane() {
      plane ??= startControlPlane().then(use)
      return plane
    },
    big() {
      big ??= startBigWorld(programs, use)
      return big
    },
    async writeFleet(fleet) {
      const root = await mkdtemp(join(folder, 'fleet-'))
      for (const [path, text] of Object.entries(filesOf(fleet))) {
        await mkdir(dirname(join(root, path)), { recursive: true })
        await writeFile(join(root, path), text)
      }
      return root
    },
    async [Symbol.asyncDispose]() {
      for (const closer of closers.splice(0).reverse()) await closer()
    },
  }
}

async function startBigWorld(programs: BuiltPrograms, use: Lab['use']): Promise<BigWorld> {
  const registry = use(await startRegistry())
  for (let image = 0; image < ownImages; image++) {
    for (let tag = 0; tag < tagsEach; tag++) {
      registry.push(
        `bench/app-${image}`,
        `1.0.${tag}`,
        new Date(1_700_000_000_000 + tag * 60_000).toISOString(),
      )
    }
  }
  registry.push('bench/shared', '1.0.0', '2024-01-01T00:00:00Z')
  const fleet: Fleet = {
    apps: 1_000,
    namespaces: 10,
    prefix: 'big',
    imageOf: (app) =>
      app < ownImages
        ? `${registry.host}/bench/app-${app}:1.0.${tagsEach - 1}`
        : `${registry.host}/bench/shared:1.0.0`,
  }
  const plane = use(await startControlPlane())
  const upstream = use(await gitServer(filesOf(fleet)))
  const agent = use(
    await startAgent(programs, {
      kubeconfig: plane.kubeconfig,
      args: [
        `--git-url=${upstream.url}`,
        `--registry-insecure-host=${registry.host}`,
        '--registry-rps=2000',
        '--registry-burst=50',
        `--sync-interval=${fullPassMs}ms`,
      ],
    }),
  )
  await agent.until(/state="tag flux-sync"/)
  const lists = () => registry.requests.filter(({ path }) => path.includes('/tags/list')).length
  const startedMs = performance.now()
  while (lists() < ownImages) await delay(5)
  const listedMs = performance.now() - startedMs
  await quiet(() => registry.requests.length)
  return {
    fleet,
    plane,
    upstream,
    registry,
    agent,
    coldScan: { lists: lists(), others: registry.requests.length - lists(), listedMs },
  }
}

/** Wait until a number has stayed as it is for a second. */
export async function quiet(count: () => number | Promise<number>): Promise<void> {
  const deadlineMs = Date.now() + 120_000
  for (let last = await count(); ; ) {
    await delay(1_000)
    const next = await count()
    if (next === last || Date.now() > deadlineMs) return
    last = next
  }
}

/** What fluxd has asked of the API server since the log had so many lines; watches stand, and are left out. */
export async function requestsOfFluxd(plane: ControlPlane, from: number): Promise<AuditEntry[]> {
  const entries = await plane.auditLog()
  return entries.slice(from).filter(({ userAgent, verb }) => userAgent === 'fluxcd' && verb !== 'watch')
}

export function writesAmong(entries: readonly AuditEntry[]): AuditEntry[] {
  return entries.filter(({ verb }) => !['get', 'list', 'watch'].includes(verb))
}

/** `git` with an environment of its own. */
export function git(lab: Lab, directory: string, ...args: string[]): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    HOME: lab.folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'bench',
    GIT_AUTHOR_EMAIL: 'bench@example.com',
    GIT_COMMITTER_NAME: 'bench',
    GIT_COMMITTER_EMAIL: 'bench@example.com',
  }
  return runProgram('git', args, env, directory)
}
