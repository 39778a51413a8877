import type { LockMode } from "../api/share-options.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkBoolean } from "../errors/option-checks.js";

/** How a key is shared: as a read lock, which has no capacity, or within one. */
export interface ShareTerms {
  /** 1 of a read lock. */
  readonly weight: number;
  readonly capacity: number | null;
}

const LARGEST = 2_147_483_647;

/** Checks `shared`, `capacity` and `weight` of a call. Null: the lock is exclusive. @throws InvalidOptionError */
export function checkShare(given: Readonly<Record<string, unknown>>): ShareTerms | null {
  const { capacity, weight } = given;
  const isShared = given.shared === undefined ? false : checkBoolean("shared", given.shared);
  if (capacity === undefined) {
    if (weight !== undefined) {
      const expected = "a weight beside capacity, of which it is a part; a read lock and an exclusive lock have none";
      throw new InvalidOptionError({ option: "weight", expected, received: weight });
    }
    return isShared ? { weight: 1, capacity: null } : null;
  }
  if (isShared) {
    const expected = "either shared (a read lock) or capacity (a semaphore), not both";
    throw new InvalidOptionError({ option: "capacity", expected, received: capacity });
  }
  const bound = checkCount("capacity", capacity, LARGEST, `an integer of 1 to ${LARGEST}`);
  return {
    capacity: bound,
    weight: weight === undefined ? 1 : checkCount("weight", weight, bound, `an integer of 1 up to capacity (${bound})`),
  };
}

function checkCount(option: string, value: unknown, largest: number, expected: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= largest) {
    return value;
  }
  throw new InvalidOptionError({ option, expected, received: value });
}

/** The option by which it was asked for. */
export function shareOption({ capacity }: ShareTerms): "shared" | "capacity" {
  return capacity === null ? "shared" : "capacity";
}

/** How a lock is held that was asked for on these terms. */
export function modeOf(share: ShareTerms | null): LockMode {
  return share === null ? "exclusive" : share.capacity === null ? "shared" : "semaphore";
}

/** Whether a call asks for a read lock and for nothing else. */
export function isPlainRead(options: unknown): boolean {
  return (
    typeof options === "object" &&
    options !== null &&
    (options as { readonly shared?: unknown }).shared === true &&
    Object.keys(options).length === 1
  );
}
