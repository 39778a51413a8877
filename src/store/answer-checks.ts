import type { LockMode } from "../api/share-options.js";
import type { LossReason } from "../errors/errors.js";
import { describe, describeType } from "../runtime/describe.js";

// What a member of a store's answer may be. Each throws a TypeError that says what is wrong with it.

/** No Date is further from 1970. */
const MAX_DATE_MS = 8.64e15;

/** An object, so that the compiler notices one that is missing. */
const lossReasons: Readonly<Record<LossReason, true>> = {
  expired: true,
  taken: true,
  "max-hold": true,
  forced: true,
  closed: true,
};

/** An answer that has to be an object. @throws TypeError */
export function answered<Answer>(answer: Answer): Answer {
  if (typeof answer === "object" && answer !== null) return answer;
  throw new TypeError(`it answered ${describe(answer)} and should answer an object`);
}

/** @throws TypeError */
export function finiteMs(name: string, value: unknown): number {
  const ms = finite(name, value);
  if (Math.abs(ms) <= MAX_DATE_MS) return ms;
  throw new TypeError(`${name} is ${describe(value)}, which is no time in milliseconds`);
}

export function msOrNull(name: string, value: unknown): number | null {
  return value === null ? null : finiteMs(name, value);
}

export function finite(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new TypeError(`${name} is ${describe(value)} and should be a finite number`);
}

/** Null when there is none, or one that nobody knows: what has ended has ended, whatever is said of the reason. */
export function lossReason(value: unknown): LossReason | null {
  return typeof value === "string" && Object.hasOwn(lossReasons, value) ? (value as LossReason) : null;
}

export function json(metadata: unknown): string | null {
  if (metadata === null) {
    return null;
  }
  try {
    JSON.parse(metadata as string);
    return metadata as string;
  } catch {
    throw new TypeError(`metadata is ${describeType(metadata)} and should be JSON text, or null`);
  }
}

/** @throws TypeError */
export function listOf<Item>(name: string, value: readonly Item[]): readonly Item[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`${name} is ${describe(value)} and should be an array`);
}

/** An object, so that the compiler notices one that is missing. */
const modes: Readonly<Record<LockMode, true>> = { exclusive: true, shared: true, semaphore: true };

/** @throws TypeError */
export function lockMode(name: string, value: unknown): LockMode {
  if (typeof value === "string" && Object.hasOwn(modes, value)) return value as LockMode;
  throw new TypeError(`${name} is ${describe(value)} and should be one of ${Object.keys(modes).join(", ")}`);
}

/** @throws TypeError */
export function weightOf(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1) return value;
  throw new TypeError(`${name} is ${describe(value)} and should be an integer of 1 and up`);
}

export function integer(name: string, value: unknown): bigint {
  if (typeof value === "bigint") return value;
  throw new TypeError(`${name} is ${describe(value)} and should be a bigint`);
}

export function unknownOutcome({ outcome }: { readonly outcome: unknown }): TypeError {
  return new TypeError(`its outcome is ${describe(outcome)}`);
}
