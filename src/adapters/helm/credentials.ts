import { readFile } from 'node:fs/promises'
import { messageOf } from '../../core/errors.ts'
import { isJsonObject, type JsonObject, valueAt } from '../../core/json.ts'
import { readPart } from '../../core/manifest/read-part.ts'
import type { Log } from '../../ports/log.ts'
import type { HttpCredentials } from './fetch.ts'
import type { ImportedRepository } from './repository-charts.ts'

/** Credentials of Helm repositories: of a Secret, and of the `repositories.yaml` that people mount for Helm. */

/** The entries of a Secret that `chartPullSecret` names. */
export function readRepositoryCredentials(data: ReadonlyMap<string, string>): HttpCredentials {
  return {
    username: data.get('username') ?? '',
    password: data.get('password') ?? '',
    ca: data.get('ca.crt'),
    cert: data.get('tls.crt'),
    key: data.get('tls.key'),
  }
}

/** Read files of `--helm-repository-import`. What can't be read is told of and left out, as in v1. */
export async function importRepositories(files: readonly string[], log: Log): Promise<ImportedRepository[]> {
  const imported: ImportedRepository[] = []
  for (const file of files) {
    try {
      const value = readPart(await readFile(file, 'utf8'))[0]?.value
      const entries = valueAt(value, 'repositories')
      for (const entry of Array.isArray(entries) ? entries.filter(isJsonObject) : []) {
        const repository = await readEntry(entry)
        if (imported.some(({ name }) => name === repository.name)) {
          log.write({ warning: `repository ${repository.name} of ${file} is left out: its name is taken` })
        } else imported.push(repository)
      }
    } catch (thrown) {
      log.write({ error: `repositories of ${file} cannot be imported`, err: reasonOf(thrown) })
    }
  }
  return imported
}

async function readEntry(entry: JsonObject): Promise<ImportedRepository> {
  const text = (key: string) => (typeof entry[key] === 'string' ? entry[key] : '')
  const file = async (key: string) => (text(key) === '' ? undefined : readFile(text(key), 'utf8'))
  const credentials: HttpCredentials = {
    username: text('username'),
    password: text('password'),
    ca: await file('caFile'),
    cert: await file('certFile'),
    key: await file('keyFile'),
    passOn: entry['pass_credentials_all'] === true,
  }
  const isAny = [credentials.username, credentials.ca, credentials.cert].some(Boolean)
  return { name: text('name'), url: text('url'), credentials: isAny ? credentials : undefined }
}

/** YAML faults may quote a password. */
function reasonOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown
    ? messageOf(thrown)
    : 'it is not the YAML of a repositories.yaml'
}
