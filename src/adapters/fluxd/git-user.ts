import { execFile } from 'node:child_process'

/**
 * The person at the keyboard as their Git configuration names them, for the commits that fluxd makes on their behalf:
 * `A User <a@example.com>`, only the name or only the address, or nothing.
 */
export async function readGitUser(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const [name, email] = await Promise.all([readSetting('user.name', env), readSetting('user.email', env)])
  return name && email ? `${name} <${email}>` : name || email
}

/** Empty where the setting, or Git itself, is missing. */
function readSetting(key: string, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  return new Promise((resolve) => {
    execFile('git', ['config', '--get', '--null', key], { env, timeout: 5_000 }, (error, stdout) =>
      resolve(error ? '' : stdout.replace(/\0.*$/s, '')),
    )
  })
}
