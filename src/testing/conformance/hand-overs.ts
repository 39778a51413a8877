import { randomUUID } from "node:crypto";
import { holds, same } from "./assertions.js";
import { fencesOf } from "./process.js";
import type { Tests } from "./tests.js";

const taken = { outcome: "lost", reason: "taken" };

/** Grants that go on with another holder, for stores that have `adopt`. */
export const handOvers: Tests = {
  "who adopts a grant has it, with its fence and all that it was acquired with": async ({ one, other }) => {
    const held = await one.take("a", { owner: "first", ttlMs: 1_000, metadata: '{"job":1}' });
    await one.detach(held);
    const adopted = await other.takeOver(held, { owner: "second", ttlMs: 60_000 });
    const { nowMs, expiresAtMs, acquiredAtMs, maxHoldUntilMs, metadata } = adopted;
    const terms = { acquiredAtMs, maxHoldUntilMs, metadata: JSON.parse(metadata ?? "null") };
    const expected = { acquiredAtMs: held.acquiredAtMs, maxHoldUntilMs: null, metadata: { job: 1 } };
    same(terms, expected, "it says what the grant was acquired with");
    const leftMs = expiresAtMs - nowMs;
    holds(leftMs <= 60_000 && leftMs > 50_000, "expiresAtMs is 60,000 ms from nowMs on for a ttlMs of 60,000", adopted);
    const check = await one.store.check("a");
    same(
      { state: check.state, holders: check.holders, acquiredAtMs: check.acquiredAtMs },
      {
        state: "held",
        holders: [{ owner: "second", fence: held.fence, weight: 1, expiresAtMs }],
        acquiredAtMs: held.acquiredAtMs,
      },
      "others see the new owner, with the fence of the grant",
    );
    same((await other.store.renew({ ...adopted, ttlMs: 0 })).outcome, "renewed", "the new token renews");
    same(await other.store.release(adopted), { outcome: "released", reason: null }, "the new token releases");
    await one.take("a");
  },

  "the old token is worth nothing any more": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const adopted = await other.takeOver(held);
    same(await one.store.renew({ ...held, ttlMs: 90_000 }), taken, "the old token does not renew");
    same(await one.detach(held, 90_000), taken, "the old token does not detach");
    same((await one.store.release(held)).outcome, "gone", "the old token does not release");
    const { outcome } = await one.store.abandon({ ...held, wasHeld: true });
    same(outcome, "gone", "abandon by the old token frees nothing");
    same(await one.adopt(held), taken, "the old token adopts nothing");
    const end = (await other.store.check("a")).holders[0]?.expiresAtMs;
    same(end, adopted.expiresAtMs, "the new holder's lease is left alone");
  },

  "of several who adopt it at once, one does": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a");
    await one.detach(held);
    const answers = await Promise.all([other, third, other, third].map((process) => process.adopt(held)));
    const outcomes = answers.map((answer) => (answer.outcome === "lost" ? answer.reason : answer.outcome));
    same(
      outcomes.sort(),
      ["adopted", "taken", "taken", "taken"],
      "one adopts it, the others are told that it is taken",
    );
  },

  "the same new token asked again is the same adoption": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const first = await other.takeOver(held, { ttlMs: 5_000 });
    const again = await other.takeOver(held, { newToken: first.token, ttlMs: 60_000 });
    holds(again.expiresAtMs > first.expiresAtMs, "the grant lasts for its ttlMs from now on", { first, again });
    const late = await other.takeOver(held, { newToken: first.token, ttlMs: 1_000 });
    holds(late.expiresAtMs >= again.expiresAtMs, "asked again it never ends earlier: it may come late", {
      again,
      late,
    });
    await other.store.release(again);
    same(await one.state("a"), "free", "it was one adoption: one release frees the key");
  },

  "an adoption that comes late does nothing": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const late = await other.adopt(held, { notAfterMs: (await other.now()) - 1 });
    holds(
      late.outcome === "late" && Number.isFinite(late.nowMs),
      "from notAfterMs on it is late, and says the time",
      late,
    );
    const { outcome } = await one.store.renew({ ...held, ttlMs: 0 });
    same(outcome, "renewed", "an adoption that is late does nothing");
  },

  "what has ended cannot be adopted, nor what has another token, fence or key": async ({ one, other }) => {
    const held = await one.take("a");
    await one.detach(held);
    const wrong = [
      { ...held, token: randomUUID() },
      { ...held, fence: held.fence + 1n },
      { ...held, key: "b" },
    ];
    for (const grant of wrong) same((await other.adopt(grant)).outcome, "lost", "key, token and fence must match");
    await one.store.release(held);
    same((await other.adopt(held)).outcome, "lost", "what was released cannot be adopted");
    same(await one.state("a"), "free", "what was released stays free");
    const brief = await one.take("brief", { ttlMs: 100 });
    await one.until(brief.expiresAtMs);
    const expired = { outcome: "lost", reason: "expired" };
    same(await other.adopt(brief), expired, "what has expired cannot be adopted");
    const next = await one.take("brief");
    same(await other.adopt(brief), taken, "what was taken cannot be adopted");
    same(await fencesOf(one, "brief"), [next.fence], "the next holder is left alone");
  },

  "detaching lets it last for its TTL from now on, and never for less": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 5_000 });
    const longer = await one.detach(held, 60_000);
    const isLonger = longer.outcome === "renewed" && longer.expiresAtMs - longer.nowMs > 50_000;
    holds(isLonger, "to detach renews for the ttlMs", longer);
    const shorter = await one.detach(held, 1_000);
    const isKept = shorter.outcome === "renewed" && shorter.expiresAtMs >= longer.expiresAtMs;
    holds(isKept, "to detach never shortens", { longer, shorter });
    await one.store.release(held);
    same((await one.detach(held)).outcome, "lost", "what was released cannot be detached");
  },

  "the maximum hold of the grant stands, and a shorter one counts from the adoption": async ({ one, other }) => {
    const limited = await one.take("limited", { maxHoldMs: 30_000 });
    await one.detach(limited);
    const longer = await other.takeOver(limited, { ttlMs: 60_000, maxHoldMs: 90_000 });
    const limitMs = limited.acquiredAtMs + 30_000;
    near(longer.maxHoldUntilMs, limitMs, "maxHoldUntilMs is that of the grant");
    near(longer.expiresAtMs, limitMs, "no adoption goes beyond the maximum hold of the grant");
    const free = await one.take("free");
    await one.detach(free);
    const shorter = await other.takeOver(free, { ttlMs: 60_000, maxHoldMs: 400 });
    const isWithin = shorter.expiresAtMs <= shorter.nowMs + 400;
    holds(isWithin, "no adoption goes beyond its own maximum hold of 400 ms", shorter);
    near(shorter.maxHoldUntilMs, shorter.expiresAtMs, "maxHoldUntilMs is the shorter limit");
    await other.until(shorter.expiresAtMs);
    const lost = await other.store.renew({ ...shorter, ttlMs: 60_000 });
    same(lost, { outcome: "lost", reason: "max-hold" }, "what has reached its maximum hold is lost, and says why");
  },

  "the minimum hold of the grant stands, whoever releases it": async ({ one, other }) => {
    const held = await one.take("a", { minHoldMs: 60_000 });
    await one.detach(held);
    await other.store.release(await other.takeOver(held));
    same(await one.state("a"), "cooling", "the minimum hold of the grant stands");
  },

  "what its holder has not let go of cannot be adopted, in a store that knows who lives": async ({ one, other }) => {
    if (!one.has("crash-detection")) return;
    const held = await one.take("a", { owner: "first" });
    const answer = await other.adopt(held);
    holds(answer.outcome === "attached", "what is tied to a process that lives is attached", answer);
    same(answer.holder?.owner ?? "first", "first", "if it says to whom, it is the holder");
    const { outcome } = await one.store.renew({ ...held, ttlMs: 0 });
    same(outcome, "renewed", "its holder has it as before");
    await one.detach(held);
    await other.takeOver(held);
  },
};

/** Times that a store has read and written, which it may round. */
function near(ms: number | null, expectedMs: number, sentence: string): void {
  holds(ms !== null && Math.abs(ms - expectedMs) < 2, `${sentence}, ${expectedMs}`, ms);
}
