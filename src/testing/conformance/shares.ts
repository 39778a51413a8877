import type { AcquireRequest } from "../../api/store.js";
import { holds, same } from "./assertions.js";
import { fencesOf, type Held } from "./process.js";
import type { Tests } from "./tests.js";

type Terms = Partial<AcquireRequest>;

/** The terms of a read lock. */
export const READ: Terms = { mode: "shared" };

/** The terms of a part of a semaphore. */
export function part(capacity: number, weight = 1): Terms {
  return { mode: "semaphore", capacity, weight };
}

/** Read locks and semaphores, for stores in which keys can be shared. */
export const shares: Tests = {
  "readers have a key together, and nobody has it alone beside them": async ({ one, other }) => {
    const first = await one.take("a", READ);
    const second = await other.take("a", READ);
    await other.refused("a");
    await one.store.release(first);
    const { holder } = await one.refused("a");
    same(holder?.fence, second.fence, "who is refused is told who has the key");
    await other.store.release(second);
    const alone = await one.take("a");
    for (const terms of [READ, part(9)]) await other.refused("a", terms);
    await one.store.release(alone);
    await other.take("a", READ);
  },

  "the weights of those who share a key never exceed the capacity": async ({ one, other }) => {
    const two = await one.take("a", part(3, 2));
    await other.refused("a", part(3, 2));
    const third = await other.take("a", part(3));
    await one.refused("a", part(3));
    await one.store.release(two);
    await one.refused("a", part(3, 3));
    await one.take("a", part(3, 2));
    await other.store.release(third);
  },

  "of several capacities the smallest counts": async ({ one, other }) => {
    const alone = await one.take("a", part(1));
    for (const terms of [part(9), READ]) await other.refused("a", terms);
    await one.store.release(alone);
    const wide = [await one.take("a", part(9)), await other.take("a", part(9))];
    await one.refused("a", part(2));
    const narrow = await one.take("a", part(3));
    await other.refused("a", part(9));
    await one.store.release(narrow);
    await other.take("a", part(9));
    for (const held of wide) await one.store.release(held);
  },

  "a share is the same grant for the same token, and renewed, released and lost by itself": async ({ one, other }) => {
    const first = await one.take("a", { ...part(2), ttlMs: 30_000 });
    const second = await other.take("a", { ...part(2), ttlMs: 60_000 });
    const again = await one.take("a", { ...part(2), token: first.token });
    same(again.fence, first.fence, "the same token asked again is the same grant, with the same fence");
    const crossed = { ...first, token: second.token };
    same((await one.store.release(crossed)).outcome, "gone", "token and fence must match");
    const renewed = await one.store.renew({ ...first, ttlMs: 90_000 });
    holds(renewed.outcome === "renewed" && renewed.expiresAtMs > first.expiresAtMs, "a share is renewed", renewed);
    same((await other.store.renew({ ...second, ttlMs: 0 })).outcome, "renewed", "the others are left alone");
    const released = { outcome: "released", reason: null };
    same(await other.store.release(second), released, "a release in time is answered so");
    same((await one.store.renew({ ...first, ttlMs: 0 })).outcome, "renewed", "the others are left alone");
    same((await one.store.abandon({ ...first, wasHeld: true })).outcome, "released", "abandon frees a share, too");
    same(await one.state("a"), "free", "what all have released is free");
  },

  "fences rise over shares and exclusive locks": async ({ one, other }) => {
    const grants: Held[] = [];
    for (const terms of [{}, READ, part(4), {}, part(4), {}]) {
      const held = await (grants.length % 2 === 0 ? one : other).take("a", terms);
      grants.push(held);
      await one.store.release(held);
    }
    const readers = [await one.take("a", READ), await other.take("a", READ), await one.take("a", READ)];
    for (const reader of readers) await one.store.release(reader);
    const all = [...grants, ...readers, await other.take("a")].map(({ fence }) => fence);
    const isRising = all.every((fence, index) => index === 0 || fence > (all[index - 1] as bigint));
    holds(isRising, "a fence is larger than that of every earlier grant of the key", all);
  },

  "a share that expires makes room, and its token can do nothing any more": async ({ one, other }) => {
    const held = await one.take("a", { ...READ, ttlMs: 1_000 });
    await other.refused("a");
    await one.until(held.expiresAtMs);
    same(await one.store.renew({ ...held, ttlMs: 60_000 }), { outcome: "lost", reason: "expired" }, "it has expired");
    const next = await other.take("a");
    const lost = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(lost, { outcome: "lost", reason: "taken" }, "whose key was granted to somebody else is told so");
    same((await one.store.release(held)).outcome, "gone", "and has nothing to release");
    const alone = await other.store.renew({ ...next, ttlMs: 100 });
    same(alone.outcome, "renewed", "the next one has the key");
  },

  "after an exclusive lock that has expired, its holder is told that readers have taken it": async ({ one, other }) => {
    const held = await one.take("a", { ttlMs: 100 });
    await one.until(held.expiresAtMs);
    await other.take("a", READ);
    const taken = { outcome: "lost", reason: "taken" };
    same(await one.store.renew({ ...held, ttlMs: 60_000 }), taken, "an exclusive lock does not go on beside readers");
    same((await one.store.release(held)).outcome, "gone", "it has nothing to release");
    await one.refused("a");
  },

  "a share that was released before its minimum hold keeps its part until then": async ({ one, other }) => {
    const held = await one.take("a", { ...part(2), minHoldMs: 1_500 });
    const beside = await other.take("a", part(2));
    same((await one.store.release(held)).outcome, "released", "a release before the minimum hold is a release");
    await other.refused("a", part(2));
    await other.store.release(beside);
    await other.refused("a");
    await other.take("a", part(2));
    await one.refused("a", part(2));
    await one.until(held.acquiredAtMs + 1_500);
    await one.take("a", part(2));
  },

  "check tells all who share a key, the oldest first": async ({ one, other }) => {
    const first = await one.take("a", { ...part(4, 3), owner: "first", ttlMs: 30_000, metadata: '{"n":1}' });
    const second = await other.take("a", { ...part(4), owner: "second", ttlMs: 60_000 });
    const { nowMs: _, ...state } = await other.store.check("a");
    const expected = {
      state: "held",
      mode: "semaphore",
      holders: [
        { owner: "first", fence: first.fence, weight: 3, expiresAtMs: first.expiresAtMs },
        { owner: "second", fence: second.fence, weight: 1, expiresAtMs: second.expiresAtMs },
      ],
      acquiredAtMs: first.acquiredAtMs,
      freeAtMs: second.expiresAtMs,
      waiters: 0,
    };
    const { metadata, ...rest } = state;
    same(rest, expected, "check says who has the key, since when and until when");
    same(JSON.parse(metadata ?? "null"), { n: 1 }, "check shows the metadata of the oldest");
    await one.store.release(first);
    same(await fencesOf(one, "a"), [second.fence], "who has let go is not told any more");
    await one.take("b", READ);
    same((await one.store.check("b")).mode, "shared", "check says how a key is held");
  },
};

/** For stores in which keys can be shared, and grants handed over. */
export const adoptedShares: Tests = {
  "who adopts a share has it beside the others, with its fence and its part": async ({ one, other }) => {
    const held = await one.take("a", part(3, 2));
    const beside = await one.take("a", part(3));
    await one.detach(held);
    const adopted = await other.takeOver(held, { owner: "second" });
    const { mode, capacity, weight } = adopted;
    same({ mode, capacity, weight }, part(3, 2), "it says how the grant was asked for");
    same((await one.store.release(held)).outcome, "gone", "the old token is worth nothing any more");
    same((await one.store.renew({ ...beside, ttlMs: 0 })).outcome, "renewed", "the others are left alone");
    const { holders } = await one.store.check("a");
    const told = holders.map(({ owner, fence, weight: taken }) => [owner, fence, taken]);
    const expected = [
      ["second", held.fence, 2],
      ["conformance", beside.fence, 1],
    ];
    same(told, expected, "others see the new owner, with the fence of the grant");
    await one.refused("a", part(3));
    same(await other.store.release(adopted), { outcome: "released", reason: null }, "the new token releases");
    await one.take("a", part(3, 2));
  },
};

/** For stores in which keys can be shared, and taken by force. */
export const forcedShares: Tests = {
  "a release by force takes the share with the fence, or all": async ({ one, other }) => {
    const readers = [await one.take("a", READ), await other.take("a", READ), await other.take("a", READ)] as const;
    const [first, second, third] = readers;
    const taken = await one.store.forceRelease?.({ key: "a", fence: second.fence, immediate: true });
    const fences = taken?.holders.map(({ fence }) => fence);
    same([taken?.outcome, fences], ["released", [second.fence]], "it takes only the share with this fence");
    const lost = { outcome: "lost", reason: "forced" };
    same(await other.store.renew({ ...second, ttlMs: 60_000 }), lost, "its holder is told");
    same((await one.store.renew({ ...first, ttlMs: 0 })).outcome, "renewed", "the others are left alone");
    const all = await one.store.forceRelease?.({ key: "a", fence: null, immediate: false });
    const told = all?.holders.map(({ fence }) => fence);
    same([all?.outcome, told], ["revoked", [first.fence, third.fence]], "it takes all shares");
    same(await one.state("a"), "revoked", "check says that they were taken by force, and not yet let go");
    for (const held of [first, third]) {
      same(await one.store.renew({ ...held, ttlMs: 60_000 }), lost, "its holder loses it with its next renewal");
      same((await one.store.release(held)).outcome, "released", "who obeys has released in time");
    }
    await other.take("a");
  },
};
