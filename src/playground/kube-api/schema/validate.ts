export function validate(): void {}
