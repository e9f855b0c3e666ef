export * from '../../src/playground/registry/registry.ts'
