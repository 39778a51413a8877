import assert from "node:assert/strict";
import { type Held, type Process, show } from "./process.js";
import type { Tests } from "./tests.js";

/** Grants, their end, and what a token may do. */
export const grants: Tests = {
  "a free key is granted for its TTL, by the store's own clock": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 60_000 });
    const leftMs = held.expiresAtMs - held.nowMs;
    assert.ok(leftMs <= 60_000 && leftMs > 50_000, `it lasts 60,000 ms from now, not ${leftMs}`);
    assert.ok(held.acquiredAtMs <= held.nowMs, "it was granted before it was answered");
    assert.equal(typeof held.fence, "bigint");
  },

  "a key that is held is refused to everybody else, who is told the holder": async ({ one, other }) => {
    const held = await one.take("a", { owner: "first" });
    for (const process of [one, other]) {
      const { holder } = await process.refused("a", { owner: "second" });
      assert.equal(holder?.owner, "first");
      assert.equal(holder?.fence, held.fence);
      assert.equal(holder?.expiresAtMs, held.expiresAtMs);
    }
  },

  "the same token asked again is the same grant": async ({ one }) => {
    const held = await one.take("a");
    const again = await one.take("a", { token: held.token });
    assert.equal(again.fence, held.fence);
    assert.equal(again.acquiredAtMs, held.acquiredAtMs);
    assert.ok(again.expiresAtMs >= held.expiresAtMs, "it does not end earlier");
    await one.store.release(held);
    assert.equal(await one.state("a"), "free", "there was one grant to release, not two");
  },

  "keys have nothing to do with each other, whatever they are made of": async ({ one, other }) => {
    const keys = ["a", "A", "a:b", "a b", "ä", "🔒", "'; drop table leases; --", "k".repeat(512), "a%", "a_"];
    for (const key of keys) await one.take(key);
    for (const key of keys) await other.refused(key);
  },

  "a release frees the key at once": async ({ one, other }) => {
    const held = await one.take("a");
    assert.deepEqual(await one.store.release(held), { outcome: "released", reason: null });
    assert.equal(await other.state("a"), "free");
    await other.take("a");
  },

  "only token and fence together release": async ({ one, other }) => {
    const held = await one.take("a");
    const wrong = [
      { ...held, token: "00000000-0000-4000-8000-000000000000" },
      { ...held, fence: held.fence + 1n },
      { ...held, key: "b" },
    ];
    for (const request of wrong) assert.equal((await other.store.release(request)).outcome, "gone");
    assert.equal(await one.state("a"), "held");
  },

  "a second release finds nothing, and leaves the next grant alone": async ({ one, other }) => {
    const held = await one.take("a");
    await one.store.release(held);
    const next = await other.take("a");
    assert.equal((await one.store.release(held)).outcome, "gone");
    assert.equal((await one.store.abandon({ ...held, wasHeld: true })).outcome, "gone");
    assert.equal((await other.store.check("a")).holder?.fence, next.fence);
  },

  "fences rise over release, abandon and expiry": async ({ one, other }) => {
    const fences: bigint[] = [];
    const note = ({ fence }: Held): void => void fences.push(fence);
    for (const process of [one, other, one]) {
      const held = await process.take("a");
      note(held);
      await process.store.release(held);
    }
    const abandoned = await other.take("a");
    note(abandoned);
    await other.store.abandon({ ...abandoned, wasHeld: false });
    const expiring = await one.take("a", { ttlMs: 100 });
    note(expiring);
    await one.until(expiring.expiresAtMs);
    note(await other.take("a"));
    assert.deepEqual(
      fences,
      [...fences].sort((a, b) => (a < b ? -1 : 1)),
      "in the order of the grants",
    );
    assert.equal(new Set(fences).size, fences.length, "none twice");
  },

  "an expired lease is free for the next, and its old token can do nothing any more": async ({ one, other }) => {
    const held = await one.take("a", { ttlMs: 100, owner: "late" });
    await one.until(held.expiresAtMs);
    assert.equal(await other.state("a"), "expired");
    assert.deepEqual(await one.store.renew({ ...held, ttlMs: 60_000 }), { outcome: "lost", reason: "expired" });
    const next = await other.take("a");
    if (next.takeover) {
      assert.equal(next.takeover.fence, held.fence);
      assert.equal(next.takeover.reason, "expired");
    }
    assert.deepEqual(await one.store.renew({ ...held, ttlMs: 60_000 }), { outcome: "lost", reason: "taken" });
    assert.equal((await one.store.release(held)).outcome, "gone");
    assert.equal((await other.store.check("a")).holder?.fence, next.fence);
  },

  "the release of an expired lease says that it had expired": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 100 });
    await one.until(held.expiresAtMs);
    assert.deepEqual(await one.store.release(held), { outcome: "expired", reason: "expired" });
    await one.take("a");
  },

  "an acquire from notAfterMs on is late, says the time, and does nothing": async ({ one }) => {
    const nowMs = await one.now();
    for (const waits of [false, true]) {
      const answer = await one.ask("a", { waits, notAfterMs: nowMs });
      assert.equal(answer.outcome, "late", `not ${show(answer)}`);
      assert.ok("nowMs" in answer && answer.nowMs >= nowMs);
    }
    const state = await one.store.check("a");
    assert.deepEqual([state.state, state.waiters], ["free", 0]);
  },

  "an acquire that comes after its last word is late, so that nothing is left behind": async ({ one, other }) => {
    const token = "11111111-1111-4111-8111-111111111111";
    const notAfterMs = (await one.now()) + 50;
    await one.until(notAfterMs);
    assert.equal((await one.store.abandon({ key: "a", token, wasHeld: false })).outcome, "gone");
    assert.equal((await one.ask("a", { token, notAfterMs })).outcome, "late");
    await other.take("a");
  },

  "abandon frees what its token was granted": async ({ one, other }) => {
    const held = await one.take("a");
    assert.equal((await one.store.abandon({ ...held, wasHeld: false })).outcome, "released");
    assert.equal((await one.store.abandon({ ...held, wasHeld: false })).outcome, "gone");
    await other.take("a");
  },
};

/** Renewals. */
export const renewals: Tests = {
  "a renewal makes it last for its TTL from now on": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 5_000 });
    const renewed = await renew(one, held, 60_000);
    assert.ok(renewed.expiresAtMs - renewed.nowMs > 50_000);
    assert.equal((await one.store.check("a")).holder?.expiresAtMs, renewed.expiresAtMs);
  },

  "a renewal never shortens": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 60_000 });
    assert.ok((await renew(one, held, 1_000)).expiresAtMs >= held.expiresAtMs);
  },

  "a renewal of 0 asks, and changes nothing": async ({ one }) => {
    const held = await one.take("a");
    assert.equal((await renew(one, held, 0)).expiresAtMs, held.expiresAtMs);
    await one.store.release(held);
    assert.equal((await one.store.renew({ ...held, ttlMs: 0 })).outcome, "lost");
  },

  "only token and fence together renew": async ({ one }) => {
    const held = await one.take("a");
    const wrong = [
      { ...held, token: "00000000-0000-4000-8000-000000000000" },
      { ...held, fence: held.fence - 1n },
      { ...held, key: "b" },
    ];
    for (const request of wrong) {
      assert.deepEqual(await one.store.renew({ ...request, ttlMs: 90_000 }), { outcome: "lost", reason: "taken" });
    }
    assert.equal((await one.store.check("a")).holder?.expiresAtMs, held.expiresAtMs);
  },

  "no renewal revives what was released": async ({ one, other }) => {
    const held = await one.take("a");
    await one.store.release(held);
    assert.equal((await one.store.renew({ ...held, ttlMs: 60_000 })).outcome, "lost");
    await other.take("a");
  },

  "no grant and no renewal goes beyond the maximum hold": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 60_000, maxHoldMs: 400 });
    assert.ok(held.expiresAtMs <= held.acquiredAtMs + 400);
    assert.ok((await renew(one, held, 60_000)).expiresAtMs <= held.acquiredAtMs + 400);
    await one.until(held.acquiredAtMs + 400);
    assert.deepEqual(await one.store.renew({ ...held, ttlMs: 60_000 }), { outcome: "lost", reason: "max-hold" });
    await one.take("a");
  },

  "a key released before its minimum hold is kept from everybody until then": async ({ one, other }) => {
    const held = await one.take("a", { minHoldMs: 400 });
    assert.equal((await one.store.release(held)).outcome, "released");
    const cooling = await other.store.check("a");
    assert.deepEqual([cooling.state, cooling.holder], ["cooling", null]);
    assert.ok(Math.abs((cooling.freeAtMs ?? 0) - held.acquiredAtMs - 400) < 2, `free at ${cooling.freeAtMs}`);
    for (const process of [one, other]) await process.refused("a");
    assert.equal((await one.store.renew({ ...held, ttlMs: 60_000 })).outcome, "lost");
    await one.until(held.acquiredAtMs + 400);
    await other.take("a");
  },

  "a last word ends the minimum hold of a call that never had its lock, and keeps that of one that had": async ({
    one,
  }) => {
    const never = await one.take("never", { minHoldMs: 60_000 });
    await one.store.abandon({ ...never, wasHeld: false });
    assert.equal(await one.state("never"), "free");
    const had = await one.take("had", { minHoldMs: 60_000 });
    await one.store.abandon({ ...had, wasHeld: true });
    assert.equal(await one.state("had"), "cooling");
  },
};

async function renew({ store }: Process, held: Held, ttlMs: number): Promise<{ nowMs: number; expiresAtMs: number }> {
  const answer = await store.renew({ ...held, ttlMs });
  assert.equal(answer.outcome, "renewed", `a grant that stands is renewed, not ${show(answer)}`);
  return answer as { nowMs: number; expiresAtMs: number; outcome: "renewed" };
}
