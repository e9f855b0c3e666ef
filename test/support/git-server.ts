export * from '../../src/playground/git/server.ts'
