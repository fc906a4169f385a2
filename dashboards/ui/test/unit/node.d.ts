// The little of Node that the unit tests use, so that @types/node need not be installed.
declare module "node:test" {
  export function test(name: string, run: () => void | Promise<void>): void;
}
declare module "node:assert/strict" {
  const assert: {
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    ok(value: unknown, message?: string): void;
  };
  export default assert;
}
// Style sheets arrive as text in unit tests.
declare module "*.css" { const text: string; export default text; }
