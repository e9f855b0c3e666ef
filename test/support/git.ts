export * from '../../src/playground/git/world.ts'
