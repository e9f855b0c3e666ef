import { describe, expect, test } from 'vitest'
import { errorText, gitError } from '../../../src/adapters/git/failure.ts'

describe('the short text of a failure', () => {
  test.each([
    {
      output:
        "Cloning into bare repository 'x'...\nfatal: 'y' does not appear to be a git repository\nfatal: z\n",
      text:
        "fatal: 'y' does not appear to be a git repository, full output:\n " +
        "Cloning into bare repository 'x'...\nfatal: 'y' does not appear to be a git repository\nfatal: z\n",
    },
    { output: 'ERROR fatal: x\n', text: 'ERROR fatal: x, full output:\n ERROR fatal: x\n' },
    { output: 'error: x\nfatal: y', text: 'x, full output:\n error: x\nfatal: y' },
    {
      output:
        'error: atomic push failed for ref x. status: 7\nfatal: hung up\nerror: failed to push some refs to y',
      text:
        'failed to push some refs to y, full output:\n ' +
        'error: atomic push failed for ref x. status: 7\nfatal: hung up\nerror: failed to push some refs to y',
    },
    { output: 'something else\n', text: 'something else\n' },
    { output: 'exit status 1', text: 'exit status 1' },
  ])('of $output', ({ output, text }) => {
    expect(errorText(output)).toBe(text)
  })
})

const rejected = (reason: string, before = '') =>
  `${before}To x\n ! [remote rejected] abc -> main (${reason})\nerror: failed to push some refs to 'x'\n`

test.each([
  // what hosts and git say when they don't let us read
  { access: 'read', code: 'GIT_CLONE_DENIED', output: "fatal: Authentication failed for 'https://h/x/'" },
  {
    access: 'read',
    code: 'GIT_CLONE_DENIED',
    output: "fatal: could not read Username for 'https://h': terminal prompts disabled",
  },
  {
    access: 'read',
    code: 'GIT_CLONE_DENIED',
    output: 'git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.',
  },
  {
    access: 'read',
    code: 'GIT_CLONE_DENIED',
    output: "fatal: unable to access 'https://h/x/': The requested URL returned error: 403",
  },
  // that there is none
  { access: 'read', code: 'GIT_REPOSITORY_MISSING', output: "fatal: repository 'https://h/x/' not found" },
  {
    access: 'read',
    code: 'GIT_REPOSITORY_MISSING',
    output: 'ERROR: Repository not found.\nfatal: Could not read from remote repository.',
  },
  {
    access: 'read',
    code: 'GIT_REPOSITORY_MISSING',
    output:
      "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.",
  },
  {
    access: 'read',
    code: 'GIT_REPOSITORY_MISSING',
    output:
      'remote: The project you were looking for could not be found or you have no permission to view it.',
  },
  // that nobody answers
  {
    access: 'read',
    code: 'GIT_UNREACHABLE',
    output: 'ssh: Could not resolve hostname h: Name or service not known\nfatal: Could not read from remote',
  },
  {
    access: 'read',
    code: 'GIT_UNREACHABLE',
    output: "fatal: unable to access 'https://h/': Could not resolve host: h",
  },
  {
    access: 'read',
    code: 'GIT_UNREACHABLE',
    output:
      "fatal: unable to access 'http://h/': Failed to connect to h port 80 after 0 ms: Couldn't connect to server",
  },
  {
    access: 'read',
    code: 'GIT_UNREACHABLE',
    output: "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none",
  },
  {
    access: 'read',
    code: 'GIT_UNREACHABLE',
    output: "fatal: unable to access 'http://h/': The requested URL returned error: 502",
  },
  { access: 'read', code: 'GIT_UNREACHABLE', output: 'fatal: the remote end hung up unexpectedly' },
  // that we lost a race
  { access: 'write', code: 'GIT_PUSH_RACE', output: ' ! [rejected]        abc -> main (stale info)\n' },
  { access: 'write', code: 'GIT_PUSH_RACE', output: ' ! [rejected]        abc -> main (fetch first)\n' },
  { access: 'write', code: 'GIT_PUSH_RACE', output: ' ! [rejected]        abc -> main (non-fast-forward)\n' },
  {
    access: 'write',
    code: 'GIT_PUSH_RACE',
    output:
      ' ! [rejected]        abc -> main (atomic push failed)\n ! [rejected]        def -> refs/notes/flux (stale info)\n',
  },
  { access: 'write', code: 'GIT_PUSH_RACE', output: rejected('atomic transaction failed') },
  {
    access: 'write',
    code: 'GIT_PUSH_RACE',
    output: rejected('failed to update ref', "remote: error: cannot lock ref 'x': is at a but expected b\n"),
  },
  {
    access: 'write',
    code: 'GIT_PUSH_RACE',
    output: rejected("cannot lock ref 'x': reference already exists"),
  },
  // that the server has rules
  { access: 'write', code: 'GIT_PUSH_REJECTED', output: rejected('pre-receive hook declined') },
  { access: 'write', code: 'GIT_PUSH_REJECTED', output: rejected('protected branch hook declined') },
  {
    access: 'write',
    code: 'GIT_PUSH_REJECTED',
    output: rejected('push declined due to repository rule violations'),
  },
  { access: 'write', code: 'GIT_PUSH_REJECTED', output: rejected('branch is currently checked out') },
  {
    access: 'write',
    code: 'GIT_PUSH_REJECTED',
    output: rejected('atomic transaction failed', 'remote: fatal: ref updates aborted by hook\n'),
  },
  // that we may only read
  {
    access: 'write',
    code: 'GIT_NOT_WRITABLE',
    output: 'ERROR: The key you are authenticating with has been marked as read only.\nfatal: Could not read',
  },
  {
    access: 'write',
    code: 'GIT_NOT_WRITABLE',
    output:
      "remote: Permission to o/r.git denied to u.\nfatal: unable to access 'https://h/': The requested URL returned error: 403",
  },
  {
    access: 'write',
    code: 'GIT_NOT_WRITABLE',
    output:
      'remote: You are not allowed to push code to this project.\nfatal: Could not read from remote repository.',
  },
  { access: 'write', code: 'GIT_NOT_WRITABLE', output: "fatal: Authentication failed for 'https://h/x/'" },
  {
    access: 'write',
    code: 'GIT_NOT_WRITABLE',
    output: rejected(
      'unpacker error',
      'error: remote unpack failed: unable to create temporary object directory\n',
    ),
  },
  // and the rest
  { access: 'write', code: 'GIT_UNREACHABLE', output: 'fatal: unable to access: Could not resolve host: h' },
  { access: 'read', code: 'GIT_FAILED', output: 'fatal: bad object HEAD' },
  { access: 'local', code: 'GIT_FAILED', output: 'fatal: repository not found' },
] as const)('$code, when git says: $output', ({ access, code, output }) => {
  expect(gitError({ doing: 'git x', output, access, transport: 'http' }).code).toBe(code)
})

test.each([
  {
    transport: 'ssh',
    code: 'GIT_KEY_REFUSED',
    output: 'git@h: Permission denied (publickey,password).',
    next: /fluxctl identity/,
  },
  {
    transport: 'ssh',
    code: 'GIT_CLONE_DENIED',
    output: 'conq: repository access denied.',
    next: /fluxctl identity/,
  },
  { transport: 'http', code: 'GIT_CLONE_DENIED', output: 'Authentication failed', next: /--git-url/ },
  {
    transport: 'ssh',
    code: 'GIT_HOST_UNKNOWN',
    output:
      'No ED25519 host key is known for [h.example]:2222 and you have requested strict checking.\nHost key verification failed.',
    next: /ssh-keyscan -p 2222 h\.example$/,
  },
  {
    transport: 'ssh',
    code: 'GIT_HOST_UNKNOWN',
    output:
      'No ED25519 host key is known for h;x and you have requested strict checking.\nHost key verification failed.',
    next: /ssh-keyscan HOST$/,
  },
  {
    transport: 'ssh',
    code: 'GIT_FAILED',
    output: 'No user exists for uid 1234\nfatal: Could not read from remote repository.',
    next: /runAsUser/,
  },
  { transport: 'ssh', code: 'GIT_PROGRAM_MISSING', output: 'sh: 1: ssh: not found', next: /OpenSSH client/ },
  {
    transport: 'ssh',
    code: 'GIT_REPOSITORY_MISSING',
    output: 'Repository not found',
    next: /fluxctl identity/,
  },
] as const)('advice for $code over $transport', ({ transport, code, output, next }) => {
  const error = gitError({ doing: 'git x', output, access: 'read', transport })

  expect(error).toMatchObject({ code, next: expect.stringMatching(next) })
})

test('a reason without end, cut where output is, is read at once', () => {
  const output = ` ! [remote rejected] abc -> main ${'('.repeat(150_000)}`

  expect(gitError({ doing: 'git push', output, access: 'write', transport: 'http' }).code).toBe('GIT_FAILED')
})
