import assert from "node:assert/strict";

// What fails has to be understood without the source of these tests: the message says what should be, and what the store did.

/** Fails unless the store answered exactly this. `sentence`: what the port says, without a full stop. */
export function same(actual: unknown, expected: unknown, sentence: string): void {
  assert.deepEqual(actual, expected, `${sentence}. Expected ${show(expected)}, the store did ${show(actual)}`);
}

/** Fails unless it is so. `answer`: what the store did. */
export function holds(isSo: boolean, sentence: string, answer: unknown): asserts isSo {
  assert.ok(isSo, `${sentence}. The store did ${show(answer)}`);
}

function show(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) => {
      if (typeof part === "bigint") return `${part}n`;
      return part === undefined || (typeof part === "number" && !Number.isFinite(part)) ? String(part) : part;
    }) ?? String(value)
  );
}
