// What a lock is asked for with, drawn at random, and how the log tells it.
import type { AcquireOptions, TryOptions } from "../../../src/index.js";
import type { Terms } from "../log.js";
import type { Chance } from "../worker/chance.js";
import type { Call } from "../worker/log-file.js";

export const alone: Terms = { mode: "exclusive" };

/** How long locks last. Not below what a busy machine needs for a round trip, but where they are to expire. */
export function leaseOptions(chance: Chance): TryOptions {
  const isShort = chance.is(0.08);
  const keepAlive = isShort ? chance.is(0.3) : chance.is(0.8);
  const ttlMs = isShort ? chance.between(100, 500) : chance.between(1_000, 4_000);
  return {
    ttlMs,
    keepAlive,
    ...(chance.is(0.2) ? { renewEveryMs: chance.between(20, Math.max(20, Math.floor(ttlMs / 2))) } : {}),
    ...(chance.is(0.15) ? { minHoldMs: minHold(chance) } : {}),
    ...(chance.is(0.1) ? { maxHoldMs: chance.between(50, 1_500) } : {}),
    ...(chance.is(0.2) ? { metadata: { why: chance.pick(["to count", "to look", "because"]) } } : {}),
    ...(chance.is(0.2) ? { owner: chance.pick(["alice", "bob", "a name with spaces"]) } : {}),
  };
}

function minHold(chance: Chance): number | readonly [number, number] {
  const least = chance.between(1, 200);
  return chance.is(0.5) ? least : [least, least + chance.between(0, 200)];
}

/** As the log tells it. */
export function noted(options: AcquireOptions): Partial<Call> {
  const { ttlMs, keepAlive, minHoldMs, maxHoldMs, waitMs } = options;
  return {
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(keepAlive === undefined ? {} : { keepAlive }),
    // of a pair what it promises at least
    ...(minHoldMs === undefined ? {} : { minHoldMs: typeof minHoldMs === "number" ? minHoldMs : minHoldMs[0] }),
    ...(maxHoldMs === undefined ? {} : { maxHoldMs }),
    ...(waitMs === undefined ? {} : { waitMs: waitMs === Number.POSITIVE_INFINITY ? null : waitMs }),
  };
}

/** The options of the library for it. */
export function shareOptions(terms: Terms): Pick<TryOptions, "shared" | "capacity" | "weight"> {
  if (terms.mode === "exclusive") return {};
  if (terms.mode === "shared") return { shared: true };
  return { capacity: terms.capacity, weight: terms.weight };
}
