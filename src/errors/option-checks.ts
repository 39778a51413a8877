import { Buffer } from "node:buffer";
import { quote } from "../runtime/describe.js";
import { InvalidOptionError } from "./errors.js";

/** Durations end up in an `integer` column and in Node's timers: this is the largest that both take. */
export const MAX_MS = 2_147_483_647;

/** Throws InvalidOptionError unless `value` is an integer of `least` to `most`, or `Infinity` where that is allowed. */
export function checkMs(
  option: string,
  value: unknown,
  least: number,
  { mayBeInfinite = false }: { mayBeInfinite?: boolean } = {},
): number {
  if (mayBeInfinite && value === Number.POSITIVE_INFINITY) return value;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= MAX_MS) return value;
  const or = mayBeInfinite ? " or Infinity" : "";
  throw new InvalidOptionError({
    option,
    expected: `an integer of ${least} to ${MAX_MS} (milliseconds)${or}`,
    received: value,
  });
}

/** The lifetime of a lease, wherever one is given: as an option, or to `lock.renew`. */
export function checkTtlMs(value: unknown, option = "ttlMs"): number {
  return checkMs(option, value, 100);
}

/** The interval of renewals; must leave time for one before the lease ends. */
export function checkRenewEveryMs(value: unknown, ttlMs: number, option = "renewEveryMs"): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 20 && value < ttlMs) return value;
  throw new InvalidOptionError({
    option,
    expected: `an integer of 20 to ${ttlMs - 1} (milliseconds, less than ttlMs)`,
    received: value,
  });
}

export function checkBoolean(option: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new InvalidOptionError({ option, expected: "true or false", received: value });
}

/** Throws InvalidOptionError unless `value` is one of `values`. */
export function checkOneOf<const Value extends string>(
  option: string,
  value: unknown,
  values: readonly Value[],
): Value {
  const found = values.find((one) => one === value);
  if (found !== undefined) return found;
  throw new InvalidOptionError({ option, expected: values.map(quote).join(" or "), received: value });
}

/** Text that Postgres can store, of `least` to `most` bytes in UTF-8. */
export function checkText(option: string, value: unknown, least: number, most: number): string {
  const isText = typeof value === "string" && !value.includes("\0") && !/\p{Surrogate}/u.test(value);
  if (isText) {
    const bytes = Buffer.byteLength(value);
    if (bytes >= least && bytes <= most) return value;
  }
  throw new InvalidOptionError({
    option,
    expected: `text of ${least} to ${most} bytes without NUL and lone surrogates`,
    received: value,
  });
}

/** `T` is the type that the option is declared with: a function cannot be looked into. */
export function checkFunction<T extends (...args: never[]) => unknown>(option: string, value: unknown): T {
  if (typeof value === "function") return value as T;
  throw new InvalidOptionError({ option, expected: "a function", received: value });
}

/** An object with options whose names are all known; `undefined` is an empty one. `path` stands in front of a name in the error's `option`. */
export function checkNames(
  what: string,
  value: unknown,
  known: readonly string[],
  path = "",
): Readonly<Record<string, unknown>> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const expected = what.startsWith("createLocker") ? "an object such as { url }" : "an object";
    throw new InvalidOptionError({ option: what, expected, received: value });
  }
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown === undefined) return value as Readonly<Record<string, unknown>>;
  const near = nearest(unknown, known);
  const advice = near === null ? `The options are ${known.join(", ")}.` : `Did you mean ${quote(near)}?`;
  throw new InvalidOptionError({
    option: `${path}${unknown}`,
    expected: `one of ${known.join(", ")}`,
    received: undefined,
    message: `${quote(unknown)}: there is no such option in ${what}. ${advice}`,
  });
}

/** The known name that is most likely meant; null when none is near: within `most` edits. */
export function nearest(
  name: string,
  known: readonly string[],
  most: number = Math.max(2, name.length / 3),
): string | null {
  const [best] = known
    .map((one) => ({ one, distance: editDistance(stem(name), stem(one)) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= most ? best.one : null;
}

/** `ttl` means `ttlMs`, whatever else has three letters. */
function stem(name: string): string {
  return name.toLowerCase().replace(/ms$/, "");
}

/** Levenshtein's, row by row. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [row, char] of [...a].entries()) {
    const current = [row + 1];
    for (let column = 0; column < b.length; column++) {
      const replaced = (above[column] ?? 0) + (char === b[column] ? 0 : 1);
      current.push(Math.min(replaced, (above[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    above = current;
  }
  return above.at(-1) ?? 0;
}

/** A fencing token, as `lock.fence` gives it. */
export function checkFence(option: string, value: unknown): bigint {
  if (isFence(value)) return value;
  throw new InvalidOptionError({ option, expected: "a fence: a bigint of 1 and up", received: value });
}

export function isFence(value: unknown): value is bigint {
  return typeof value === "bigint" && value >= 1n && value <= 9_223_372_036_854_775_807n;
}
