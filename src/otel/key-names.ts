import { type Attributes, diag } from "@opentelemetry/api";
import { InvalidOptionError } from "../errors/errors.js";

/** Exact keys, a regular expression that matches keys, or the name to show for a key (null or undefined: none). */
export type KeyNames = readonly string[] | RegExp | ((key: string) => string | null | undefined);

/** The attributes that name a key: none, unless it may be named. */
export type NameOf = (key: string) => Attributes;

const none: Attributes = {};

/** @throws {InvalidOptionError} */
export function checkKeyNames(value: unknown): NameOf {
  const nameOf = toFunction(value);
  return (key) => {
    try {
      const name = nameOf(key);
      if (typeof name === "object") {
        Promise.resolve(name).catch(tell); // of an async function, whose rejection nobody else would catch
      }
      return typeof name === "string" ? { "leasehold.lock.key": name } : none;
    } catch (error) {
      tell(error);
      return none;
    }
  };
}

function toFunction(value: unknown): (key: string) => unknown {
  if (value === undefined) {
    return () => null;
  }
  if (typeof value === "function") {
    return value as (key: string) => unknown;
  }
  if (value instanceof RegExp) {
    // Not `test`, which remembers where it was.
    return (key) => (key.search(value) < 0 ? null : key);
  }
  if (Array.isArray(value) && value.every((key) => typeof key === "string")) {
    const keys = new Set<string>(value);
    return (key) => (keys.has(key) ? key : null);
  }
  const expected = "an array of keys, a regular expression, or a function that returns a key's name";
  throw new InvalidOptionError({ option: "keyNames", expected, received: value });
}

function tell(error: unknown): void {
  diag.error("leasehold: keyNames threw, so the key is not named", error);
}
