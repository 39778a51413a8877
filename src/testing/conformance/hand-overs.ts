import assert from "node:assert/strict";
import type { GrantRequest } from "../../api/store.js";
import type { Tests } from "./tests.js";

/** Grants that go on with another holder, for stores that have `adopt`. */
export const handOvers: Tests = {
  "who adopts a grant has it, with its fence and all that it was acquired with": async ({ one, other }) => {
    const held = await one.take("a", { owner: "first", ttlMs: 1_000, metadata: '{"job":1}' });
    await one.detach(held);
    const adopted = await other.takeOver(held, { owner: "second", ttlMs: 60_000 });
    assert.equal(adopted.acquiredAtMs, held.acquiredAtMs);
    assert.equal(adopted.maxHoldUntilMs, null);
    assert.deepEqual(JSON.parse(adopted.metadata ?? "null"), { job: 1 });
    const leftMs = adopted.expiresAtMs - adopted.nowMs;
    assert.ok(leftMs <= 60_000 && leftMs > 50_000, `it lasts 60,000 ms from now, not ${leftMs}`);
    const { state, holder, acquiredAtMs } = await one.store.check("a");
    assert.deepEqual([state, holder?.owner, holder?.fence], ["held", "second", held.fence]);
    assert.deepEqual([acquiredAtMs, holder?.expiresAtMs], [held.acquiredAtMs, adopted.expiresAtMs]);
    assert.equal((await other.store.renew({ ...adopted, ttlMs: 0 })).outcome, "renewed");
    assert.deepEqual(await other.store.release(adopted), { outcome: "released", reason: null });
    await one.take("a");
  },

  "the old token is worth nothing any more": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const adopted = await other.takeOver(held);
    assert.deepEqual(await one.store.renew({ ...held, ttlMs: 90_000 }), { outcome: "lost", reason: "taken" });
    assert.deepEqual(await one.detach(held, 90_000), { outcome: "lost", reason: "taken" });
    assert.equal((await one.store.release(held)).outcome, "gone");
    assert.equal((await one.store.abandon({ ...held, wasHeld: true })).outcome, "gone");
    assert.deepEqual(await one.adopt(held), { outcome: "lost", reason: "taken" });
    assert.equal((await other.store.check("a")).holder?.expiresAtMs, adopted.expiresAtMs);
  },

  "of several who adopt it at once, one does": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a");
    await one.detach(held);
    const answers = await Promise.all([other, third, other, third].map((process) => process.adopt(held)));
    const outcomes = answers.map((answer) => (answer.outcome === "lost" ? answer.reason : answer.outcome));
    assert.deepEqual(outcomes.sort(), ["adopted", "taken", "taken", "taken"]);
  },

  "the same new token asked again is the same adoption": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const first = await other.takeOver(held, { ttlMs: 5_000 });
    const again = await other.takeOver(held, { newToken: first.token, ttlMs: 60_000 });
    assert.ok(again.expiresAtMs > first.expiresAtMs);
    await other.store.release(again);
    assert.equal(await one.state("a"), "free");
  },

  "an adoption that comes late does nothing": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const late = await other.adopt(held, { notAfterMs: (await other.now()) - 1 });
    assert.equal(late.outcome, "late");
    assert.ok(late.outcome === "late" && Number.isFinite(late.nowMs));
    assert.equal((await one.store.renew({ ...held, ttlMs: 0 })).outcome, "renewed");
  },

  "what has ended cannot be adopted, nor what has another token, fence or key": async ({ one, other }) => {
    const wrong = async (grant: GrantRequest): Promise<unknown> => await other.adopt(grant);
    const held = await one.take("a");
    await one.detach(held);
    for (const grant of [
      { ...held, token: "00000000-0000-4000-8000-000000000000" },
      { ...held, fence: held.fence + 1n },
      { ...held, key: "b" },
    ]) {
      assert.deepEqual(await wrong(grant), { outcome: "lost", reason: "taken" });
    }
    await one.store.release(held);
    assert.equal(((await wrong(held)) as { outcome: string }).outcome, "lost");
    const brief = await one.take("brief", { ttlMs: 100 });
    await one.until(brief.expiresAtMs);
    assert.deepEqual(await wrong(brief), { outcome: "lost", reason: "expired" });
    const next = await one.take("brief");
    assert.deepEqual(await wrong(brief), { outcome: "lost", reason: "taken" });
    assert.equal((await one.store.check("brief")).holder?.fence, next.fence);
    assert.equal(await one.state("a"), "free");
  },

  "detaching lets it last for its TTL from now on, and never for less": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 5_000 });
    const longer = await one.detach(held, 60_000);
    assert.ok(longer.outcome === "renewed" && longer.expiresAtMs - longer.nowMs > 50_000);
    const shorter = await one.detach(held, 1_000);
    assert.ok(shorter.outcome === "renewed" && shorter.expiresAtMs >= longer.expiresAtMs);
    await one.store.release(held);
    assert.equal((await one.detach(held)).outcome, "lost");
  },

  "the maximum hold of the grant stands, and a shorter one counts from the adoption": async ({ one, other }) => {
    const limited = await one.take("limited", { maxHoldMs: 30_000 });
    await one.detach(limited);
    const longer = await other.takeOver(limited, { ttlMs: 60_000, maxHoldMs: 90_000 });
    near(longer.maxHoldUntilMs, limited.acquiredAtMs + 30_000);
    near(longer.expiresAtMs, limited.acquiredAtMs + 30_000);
    const free = await one.take("free");
    await one.detach(free);
    const shorter = await other.takeOver(free, { ttlMs: 60_000, maxHoldMs: 400 });
    assert.ok(shorter.expiresAtMs <= shorter.nowMs + 400);
    near(shorter.maxHoldUntilMs, shorter.expiresAtMs);
    await other.until(shorter.expiresAtMs);
    assert.deepEqual(await other.store.renew({ ...shorter, ttlMs: 60_000 }), { outcome: "lost", reason: "max-hold" });
  },

  "the minimum hold of the grant stands, whoever releases it": async ({ one, other }) => {
    const held = await one.take("a", { minHoldMs: 60_000 });
    await one.detach(held);
    await other.store.release(await other.takeOver(held));
    assert.equal(await one.state("a"), "cooling");
  },

  "what its holder has not let go of cannot be adopted, in a store that knows who lives": async ({ one, other }) => {
    if (!one.has("crash-detection")) return;
    const held = await one.take("a", { owner: "first" });
    const answer = await other.adopt(held);
    assert.ok(answer.outcome === "attached", `${answer.outcome} is attached`);
    assert.equal(answer.holder?.owner ?? "first", "first");
    assert.equal((await one.store.renew({ ...held, ttlMs: 0 })).outcome, "renewed");
    await one.detach(held);
    await other.takeOver(held);
  },
};

/** Times that a store has read and written, which it may round. */
function near(ms: number | null, expectedMs: number): void {
  assert.ok(ms !== null && Math.abs(ms - expectedMs) < 2, `${ms} is ${expectedMs}`);
}
