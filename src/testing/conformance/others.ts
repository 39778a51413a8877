import { holds, same } from "./assertions.js";
import type { Tests } from "./tests.js";

/** Looking, and the life of a store. */
export const looks: Tests = {
  "check says who has the key, since when, until when, and with what": async ({ one, other }) => {
    const stored = { job: "ä", list: [1, null, "\u0001"] };
    const held = await one.take("a", { owner: "me", metadata: JSON.stringify(stored) });
    const { nowMs, metadata, ...state } = await other.store.check("a");
    holds(Number.isFinite(nowMs), "check says the store's time", nowMs);
    same(JSON.parse(metadata ?? "null"), stored, "check shows the metadata, as JSON text");
    const { fence, expiresAtMs, acquiredAtMs } = held;
    const holders = [{ owner: "me", fence, weight: 1, expiresAtMs }];
    const expected = { state: "held", mode: "exclusive", holders, acquiredAtMs, freeAtMs: expiresAtMs, waiters: 0 };
    same(state, expected, "check says who has the key, since when and until when");
  },

  "check of a free key says so, and no check changes anything": async ({ one }) => {
    const look = async (): Promise<unknown> => {
      const { nowMs: _, ...state } = await one.store.check("a");
      return state;
    };
    const nobody = { holders: [], acquiredAtMs: null, freeAtMs: null, metadata: null, waiters: 0 };
    const free = { state: "free", mode: "exclusive", ...nobody };
    same(await look(), free, "of a free key everything is null");
    const held = await one.take("a", { ttlMs: 1_000 });
    const before = await look();
    same(await look(), before, "a check changes nothing");
    await one.until(held.expiresAtMs);
    const expired = await one.store.check("a");
    const { state, holders, freeAtMs } = expired;
    // A store may forget a lease when it expires.
    const isKnown = state === "expired" && holders[0]?.fence === held.fence;
    holds(
      isKnown || (state === "free" && holders.length === 0),
      "a lease that has expired is expired, or free",
      expired,
    );
    same(freeAtMs, null, "freeAtMs of a key that is free now is null");
    same(await one.state("a"), state, "a check changes nothing");
  },

  "ping is a round trip, and says what answers": async ({ one }) => {
    const answer = await one.store.ping();
    holds(answer.ms >= 0 && answer.serverVersion.length > 0, "ping says how long it took, and what answers", answer);
  },

  "a feature says whether it is there, and why": async ({ one }) => {
    const { features } = one.store;
    holds(typeof features === "object" && features !== null, "features is an object", features);
    for (const [name, { isOn, why }] of Object.entries(features)) {
      holds(typeof isOn === "boolean" && why.length > 0, `the feature ${name} says whether it is on, and why`, {
        isOn,
        why,
      });
    }
    const hasForce = one.store.forceRelease !== undefined;
    same(one.has("force-release"), hasForce, "the feature force-release is on if there is forceRelease()");
  },

  "open may be called again, and changes nothing": async ({ one, other }) => {
    const held = await one.take("a");
    await one.open();
    await other.open();
    const { outcome } = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(outcome, "renewed", "what is held stays held when the store is opened again");
    await other.refused("a");
  },

  "closing one store leaves the locks of the others alone": async ({ one, other, open }) => {
    const third = await open();
    const held = await other.take("a");
    await third.take("b");
    await third.store.close();
    const { outcome } = await other.store.renew({ ...held, ttlMs: 60_000 });
    same(outcome, "renewed", "closing a store leaves the locks of other processes alone");
    await one.refused("a");
  },
};

/** For stores that can take a key from its holder. */
export const force: Tests = {
  "a release by force ends renewals, and the key is free when its holder lets go or at its expiry": async ({
    one,
    other,
  }) => {
    const held = await one.take("a", { owner: "me", ttlMs: 1_000 });
    const { fence, expiresAtMs } = held;
    const holders = [{ owner: "me", fence, weight: 1, expiresAtMs }];
    const revoked = { outcome: "revoked", freeAtMs: expiresAtMs, holders };
    const taken = await other.store.forceRelease?.({ key: "a", fence: null, immediate: false });
    same(taken, revoked, "it says from whom it takes the key, and when that is free at the latest");
    same(await one.state("a"), "revoked", "check says that it was taken by force, and not yet let go");
    const lost = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(lost, { outcome: "lost", reason: "forced" }, "its holder loses it with its next renewal");
    await other.refused("a");
    await one.until(expiresAtMs);
    await other.take("a");
  },

  "a holder that lets go after a release by force has released, and the key is free": async ({ one, other }) => {
    const held = await one.take("a");
    await other.store.forceRelease?.({ key: "a", fence: held.fence, immediate: false });
    const released = { outcome: "released", reason: null };
    same(await one.store.release(held), released, "whoever releases before its lease expires has released in time");
    await other.take("a");
  },

  "at once, it frees the key now, and its old holder is told that it was taken by force": async ({ one, other }) => {
    const held = await one.take("a");
    const taken = await other.store.forceRelease?.({ key: "a", fence: held.fence, immediate: true });
    const { outcome, freeAtMs, holders = [] } = taken ?? {};
    const expected = { outcome: "released", freeAtMs: null, fences: [held.fence] };
    same({ outcome, freeAtMs, fences: holders.map(({ fence }) => fence) }, expected, "at once, it frees the key now");
    const lost = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(lost, { outcome: "lost", reason: "forced" }, "its old holder is told that it was taken by force");
    const next = await other.take("a");
    holds(next.fence > held.fence, "fences rise over a release by force", { held, next });
  },

  "it takes no other grant than the one that is named, and nothing where there is none": async ({ one }) => {
    const gone = { outcome: "gone", freeAtMs: null, holders: [] };
    const none = await one.store.forceRelease?.({ key: "a", fence: null, immediate: true });
    same(none, gone, "of a free key nothing is taken");
    const held = await one.take("a");
    const wrong = await one.store.forceRelease?.({ key: "a", fence: held.fence + 1n, immediate: true });
    same(wrong, gone, "it takes only the grant with this fence");
    same(await one.state("a"), "held", "it takes only the grant with this fence");
  },

  "it ends a minimum hold": async ({ one, other }) => {
    await one.store.release(await one.take("a", { minHoldMs: 60_000 }));
    const taken = await other.store.forceRelease?.({ key: "a", fence: null, immediate: false });
    const expected = { outcome: "released", freeAtMs: null, holders: [] };
    same(taken, expected, "a minimum hold is ended, and nobody had the key");
    await other.take("a");
  },
};

/** For stores that keep the marks of resources. */
export const marks: Tests = {
  "a mark rises, and smaller fences are stale from then on": async ({ one, other }) => {
    const fences = [];
    for (let count = 0; count < 3; count += 1) {
      const held = await one.take("a");
      fences.push(held.fence);
      await one.store.release(held);
    }
    const [low = 0n, middle = 0n, high = 0n] = fences;
    const steps = [
      ["r", middle, "passed", "the first fence of a resource passes"],
      ["r", middle, "passed", "a fence passes as often as it is used"],
      ["r", low, "stale", "a fence below the mark is stale"],
      ["r", high, "passed", "a fence above the mark passes"],
      ["r", middle, "stale", "it has raised the mark"],
      ["s", low, "passed", "each resource has a mark of its own"],
    ] as const;
    for (const [resource, fence, expected, sentence] of steps) {
      same(await other.store.checkFence?.(resource, fence), expected, sentence);
    }
  },
};

/** For stores that sweep, or rest. */
export const housekeeping: Tests = {
  "a sweep leaves live leases and waiters alone": async ({ one, other }) => {
    if (one.store.sweep === undefined) return;
    const held = await one.take("a");
    await one.store.release(await one.take("b", { minHoldMs: 60_000 }));
    if (one.has("queue")) await other.queued("a");
    const swept = await one.store.sweep();
    holds(typeof swept.leasesPurged === "number", "a sweep says what it has purged", swept);
    const { outcome } = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(outcome, "renewed", "a sweep leaves what is held alone");
    same(await other.state("b"), "cooling", "a sweep leaves a minimum hold alone");
    if (one.has("queue")) same((await one.store.check("a")).waiters, 1, "a sweep leaves waiters alone");
  },

  "after a rest it goes on with the next request, and what was held is held": async ({ one, other }) => {
    if (one.store.rest === undefined) return;
    const held = await one.take("a");
    await one.store.rest();
    const { outcome } = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(outcome, "renewed", "a rest leaves what is held alone");
    await other.refused("a");
  },
};
