import type { JsonValue } from "../api/metadata.js";
import { DURATION_PATTERN, parseDuration, unitAdvice } from "../config/duration.js";
import { checkMetadata } from "../config/metadata.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkBoolean, checkOneOf, checkText, MAX_MS } from "../errors/option-checks.js";
import { describe } from "../runtime/describe.js";
import type { Kind } from "./kind.js";

interface Bounds {
  /** Whether 0 is taken below `least`. */
  readonly zero?: boolean;
  readonly infinite?: boolean;
}

/** A number of milliseconds, or text such as `30s`. */
export function duration(least: number, { zero = false, infinite = false }: Bounds = {}): Kind<number> {
  const range = { type: "integer", minimum: least, maximum: MAX_MS };
  const texts = { type: "string", minLength: 1, pattern: DURATION_PATTERN };
  const isValid = (ms: number): boolean =>
    (Number.isInteger(ms) && ms >= least && ms <= MAX_MS) ||
    (zero && ms === 0) ||
    (infinite && ms === Number.POSITIVE_INFINITY);
  const expected = [
    `a duration of ${least} to ${MAX_MS} ms, such as "30s", "1m30s" or "500ms" (a number counts milliseconds)`,
    ...(zero ? ["or 0"] : []),
    ...(infinite ? ['or "Infinity"'] : []),
  ].join(", ");
  return {
    schema: { anyOf: [range, ...(zero ? [{ const: 0 }] : []), ...(infinite ? [{ const: "Infinity" }] : []), texts] },
    read(value, path) {
      const ms = typeof value === "string" ? readText(value) : value;
      if (typeof ms === "number" && isValid(ms)) return ms;
      const advice = typeof value === "string" ? unitAdvice(value) : "";
      const message = `${path}: expected ${expected}, got ${describe(value)}${advice}`;
      throw new InvalidOptionError({ option: path, expected, received: value, message });
    },
  };
}

function readText(text: string): number | null {
  return text === "Infinity" ? Number.POSITIVE_INFINITY : parseDuration(text);
}

/** How many times. */
export const times: Kind<number> = {
  schema: { anyOf: [{ type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, { const: "Infinity" }] },
  read(value, path) {
    if (value === "Infinity" || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
    throw new InvalidOptionError({ option: path, expected: 'an integer of 0 and up, or "Infinity"', received: value });
  },
};

/** Any number. */
export const finite: Kind<number> = {
  schema: { type: "number" },
  read(value, path) {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw new InvalidOptionError({ option: path, expected: "a finite number", received: value });
  },
};

/** A part of something, 0 to 1. */
export const part: Kind<number> = {
  schema: { type: "number", minimum: 0, maximum: 1 },
  read(value, path) {
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    throw new InvalidOptionError({ option: path, expected: "a number of 0 to 1", received: value });
  },
};

export const truth: Kind<boolean> = {
  schema: { type: "boolean" },
  read: (value, path) => checkBoolean(path, value),
  fromText: (text) => (text === "true" ? true : text === "false" ? false : text),
};

/** Text of `least` to `most` bytes. */
export function text(least: number, most: number): Kind<string> {
  return {
    // Of characters, for a schema does not count bytes: text of `most` bytes is never longer.
    schema: {
      type: "string",
      ...(least > 0 ? { minLength: least } : {}),
      maxLength: most,
      pattern: "^[^\\u0000]*$",
    },
    read: (value, path) => checkText(path, value, least, most),
  };
}

export function choice<const Value extends string>(...values: readonly Value[]): Kind<Value> {
  return {
    schema: { enum: values },
    read: (value, path) => checkOneOf(path, value, values),
  };
}

/** The address of a database. The rest of it is read by createLocker, which completes it. */
export const address: Kind<string> = {
  schema: { type: "string", pattern: "^postgres(?:ql)?://" },
  read(value, path) {
    if (typeof value === "string" && /^postgres(?:ql)?:\/\//.test(value)) return value;
    const expected = "the address of a database, which starts with postgres:// or postgresql://";
    throw new InvalidOptionError({ option: path, expected, received: value });
  },
};

/** Any JSON. */
export const json: Kind<JsonValue> = {
  schema: {},
  read: (value, path) => checkMetadata(value, path).value,
  fromText: fromJson,
};

/** The JSON in a variable. Its text is not shown: there may be an address in it. */
export function fromJson(text: string, variable: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const message = `${variable}: expected JSON, and it cannot be read as such`;
    throw new InvalidOptionError({ option: variable, expected: "JSON", received: undefined, message });
  }
}
