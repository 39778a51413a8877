import { InvalidOptionError } from "../errors/errors.js";
import { checkMs, MAX_MS } from "../errors/option-checks.js";
import { describe } from "../runtime/describe.js";

/** A minimum hold, or the bounds between which each call draws one. */
export type MinHold = number | readonly [min: number, max: number];

const PAIR = `a pair of integers of 0 to ${MAX_MS} (milliseconds), the first no larger than the second`;

export function checkMinHold(value: unknown): MinHold {
  if (!Array.isArray(value)) {
    return checkMs("minHoldMs", value, 0);
  }
  const [min, max] = value as readonly unknown[];
  if (value.length === 2 && isMs(min) && isMs(max) && min <= max) {
    return [min, max]; // a copy: the caller may change its own
  }
  const received = `[${value.slice(0, 3).map(describe).join(", ")}${value.length > 3 ? ", …" : ""}]`;
  const message = `minHoldMs: expected ${PAIR}, got ${received}`;
  throw new InvalidOptionError({ option: "minHoldMs", expected: PAIR, received: value, message });
}

/** The minimum hold of one call. */
export function drawMinHoldMs(hold: MinHold): number {
  if (typeof hold === "number") {
    return hold;
  }
  const [min, max] = hold;
  return min + Math.floor(Math.random() * (max - min + 1));
}

function isMs(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_MS;
}
