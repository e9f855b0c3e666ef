export * from '../../src/playground/kube/control-plane.ts'
