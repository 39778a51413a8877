import { Buffer } from "node:buffer";
import { InvalidKeyError, InvalidOptionError } from "../errors/errors.js";
import { describe } from "../runtime/describe.js";

/** What one statement takes. */
export const MAX_SET_KEYS = 1_000;

/** Calls `place` for each key, which returns how many different ones there are so far. @throws InvalidOptionError, InvalidKeyError */
export function eachSetKey(keys: unknown, place: (key: string) => number): void {
  if (!Array.isArray(keys)) {
    throw wrongKeys(keys, describe(keys));
  }
  if (keys.length === 0) {
    throw wrongKeys(keys, "an empty array");
  }
  for (const [index, key] of keys.entries()) {
    try {
      if (place(key as string) > MAX_SET_KEYS) {
        throw wrongKeys(keys, `${MAX_SET_KEYS + 1} or more`);
      }
    } catch (error) {
      if (!(error instanceof InvalidKeyError)) {
        throw error;
      }
      const { expected, message } = error;
      throw new InvalidKeyError({ expected, received: key, message: message.replace(/^key/, `keys[${index}]`) });
    }
  }
}

function wrongKeys(received: unknown, came: string): InvalidOptionError {
  const expected = `an array of 1 to ${MAX_SET_KEYS} keys`;
  return new InvalidOptionError({
    option: "keys",
    expected,
    received,
    message: `keys: expected ${expected}, got ${came}`,
  });
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
