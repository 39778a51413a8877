import { Buffer } from "node:buffer";
import { InvalidOptionError } from "../errors/errors.js";

/** What one statement takes. */
export const MAX_SET_KEYS = 1_000;

/** @throws InvalidOptionError */
export function checkSetKeys(keys: unknown): readonly unknown[] {
  if (Array.isArray(keys) && keys.length > 0 && keys.length <= MAX_SET_KEYS) {
    return keys;
  }
  const expected = `an array of 1 to ${MAX_SET_KEYS} keys`;
  throw new InvalidOptionError({ option: "keys", expected, received: keys });
}

/** Those that wait would find the first key lost before they have the last one. @throws InvalidOptionError */
export function checkSetTimes(terms: { waitMs: number; maxHoldMs: number; queues: boolean }): void {
  const { waitMs, maxHoldMs, queues } = terms;
  if (queues && maxHoldMs !== Number.POSITIVE_INFINITY && waitMs >= maxHoldMs) {
    const expected = `less than maxHoldMs (${maxHoldMs}), which counts from the first of several keys`;
    throw new InvalidOptionError({ option: "waitMs", expected, received: waitMs });
  }
}

/** By the bytes of the full keys: `<` compares UTF-16 units, another order beyond U+FFFF (decision 26). */
export function inKeyOrder<Item extends { readonly key: string }>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, bytes: Buffer.from(item.key) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ item }) => item);
}
