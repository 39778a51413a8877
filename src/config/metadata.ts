import { Buffer } from "node:buffer";
import type { JsonValue } from "../api/metadata.js";
import { InvalidOptionError } from "../errors/errors.js";
import { describe } from "../runtime/describe.js";

/** Metadata, checked and copied: changes that the caller makes later have no effect on it. */
export interface CheckedMetadata {
  /** As stored. Null for none. */
  readonly json: string | null;
  /** As shown to users: a deeply frozen copy. */
  readonly value: JsonValue;
}

const MAX_BYTES = 65_536;
const MAX_DEPTH = 100;

/** Checks the option `metadata`. Throws InvalidOptionError, which names the part of the value that is invalid. */
export function checkMetadata(value: unknown, option = "metadata"): CheckedMetadata {
  if (value === null) return { json: null, value: null };
  const copy = copyJson(value, option, 0);
  const json = JSON.stringify(copy);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_BYTES) {
    throw new InvalidOptionError({
      option,
      expected: `at most ${MAX_BYTES} bytes as JSON`,
      received: value,
      message: `${option}: expected at most ${MAX_BYTES} bytes as JSON, got ${bytes}`,
    });
  }
  return { json, value: copy };
}

/** The depth limit also stops at cycles. */
function copyJson(value: unknown, place: string, depth: number): JsonValue {
  if (depth > MAX_DEPTH) throw refuse(place, `no cycle, and no more than ${MAX_DEPTH} levels`, value);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return checkText(value, place);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw refuse(place, "a finite number", value);
    return value;
  }
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value, (item, index) => copyJson(item, `${place}[${index}]`, depth + 1)));
  }
  if (!isPlainObject(value)) throw refuse(place, "a JSON value", value);
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => [
      checkText(name, `${place}, a property's name`),
      copyJson(inner, `${place}.${name}`, depth + 1),
    ]);
  return Object.freeze(Object.fromEntries(entries));
}

/** Postgres cannot store NUL or lone surrogates in a jsonb. */
function checkText(text: string, place: string): string {
  if (text.includes("\0")) throw refuse(place, "text without NUL", text);
  if (/\p{Surrogate}/u.test(text)) throw refuse(place, "text without lone surrogates", text);
  return text;
}

/** An object that is nothing but its properties, also one of another realm. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

function refuse(place: string, expected: string, value: unknown): InvalidOptionError {
  const received =
    typeof value === "object" && value !== null ? (value.constructor?.name ?? "an object") : describe(value);
  return new InvalidOptionError({
    option: place.replace(/[.[,].*/s, ""),
    expected,
    received: value,
    message: `${place}: expected ${expected}, got ${received}`,
  });
}
