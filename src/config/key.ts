import { Buffer } from "node:buffer";
import { InvalidKeyError } from "../errors/errors.js";

/** Longest key of a lease, in bytes of UTF-8, prefix included. */
export const MAX_KEY_BYTES = 512;

/** Returns the full key: the locker's prefix, then the key. Throws InvalidKeyError if that is not a valid key. */
export function checkKey(key: unknown, prefix = ""): string {
  if (Array.isArray(key)) {
    const expected =
      "one string: join parts that name one thing with key(...parts), and acquire several keys with acquireAll(keys)";
    throw new InvalidKeyError({ expected, received: key });
  }
  if (typeof key !== "string") throw new InvalidKeyError({ expected: "a string", received: key });
  if (key === "") throw new InvalidKeyError({ expected: "text that is not empty", received: key });
  const full = prefix + key;
  if (/[\0\p{Surrogate}]/u.test(full)) {
    const expected = key.includes("\0") ? "text without NUL" : "text without lone surrogates";
    throw new InvalidKeyError({ expected, received: key });
  }
  // A unit of a JavaScript string takes 3 bytes at most: most keys are so short that they need not be counted.
  if (full.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(full) > MAX_KEY_BYTES) {
    const bytes = Buffer.byteLength(full);
    const expected = `at most ${MAX_KEY_BYTES} bytes in UTF-8${prefix === "" ? "" : ", the prefix included"}`;
    throw new InvalidKeyError({ expected, received: key, message: `key: expected ${expected}, got ${bytes}` });
  }
  return full;
}

/**
 * Makes one key of several parts. They are joined with `:`, and a `:` or `%` within a part is escaped (`%3A`, `%25`), so
 * that different parts always make different keys. A part may be empty. A number or bigint becomes its decimal text:
 * `key("a", 1)` is `key("a", "1")`.
 *
 * ```ts
 * key("order", 42);      // order:42
 * key("a:b", "c");       // a%3Ab:c
 * key("a", "b:c");       // a:b%3Ac
 * ```
 * @throws {InvalidKeyError} for a part that is no text and no number, and for more than 512 bytes
 */
export function key(...parts: readonly (string | number | bigint)[]): string {
  return checkKey(parts.map(escapePart).join(":"));
}

function escapePart(part: unknown): string {
  if (typeof part === "bigint" || (typeof part === "number" && Number.isFinite(part))) return part.toString();
  if (typeof part === "string") return part.replaceAll("%", "%25").replaceAll(":", "%3A");
  throw new InvalidKeyError({ expected: "parts that are strings, finite numbers or bigints", received: part });
}
