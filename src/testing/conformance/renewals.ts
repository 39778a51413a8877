import { randomUUID } from "node:crypto";
import type { Validity } from "../../api/store.js";
import { holds, same } from "./assertions.js";
import type { Held, Process } from "./process.js";
import type { Tests } from "./tests.js";

/** Renewals, and the bounds of a hold. */
export const renewals: Tests = {
  "a renewal makes it last for its TTL from now on": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 5_000 });
    const renewed = await renew(one, held, 60_000);
    const leftMs = renewed.expiresAtMs - renewed.nowMs;
    holds(leftMs <= 60_000 && leftMs > 50_000, "expiresAtMs is 60,000 ms from nowMs on for a ttlMs of 60,000", renewed);
    same(await endOf(one, "a"), renewed.expiresAtMs, "the lease ends when the renewal said");
  },

  "a renewal never shortens": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 60_000 });
    const renewed = await renew(one, held, 1_000);
    holds(renewed.expiresAtMs >= held.expiresAtMs, "a renewal never shortens", { held, renewed });
    same(await endOf(one, "a"), renewed.expiresAtMs, "the lease ends when the renewal said");
  },

  "a renewal of 0 asks, and changes nothing": async ({ one }) => {
    const held = await one.take("a");
    const { expiresAtMs } = await renew(one, held, 0);
    same(expiresAtMs, held.expiresAtMs, "a renewal of 0 changes nothing");
    await one.store.release(held);
    same(
      (await one.store.renew({ ...held, ttlMs: 0 })).outcome,
      "lost",
      "a renewal of 0 tells whether the grant stands",
    );
  },

  "only token and fence together renew": async ({ one }) => {
    const held = await one.take("a");
    const wrong = [
      { ...held, token: randomUUID() },
      { ...held, fence: held.fence - 1n },
      { ...held, key: "b" },
    ];
    for (const request of wrong) {
      same((await one.store.renew({ ...request, ttlMs: 90_000 })).outcome, "lost", "key, token and fence must match");
    }
    same(await endOf(one, "a"), held.expiresAtMs, "a renewal by another token or fence changes nothing");
  },

  "no renewal revives what was released": async ({ one, other }) => {
    const held = await one.take("a");
    await one.store.release(held);
    same((await one.store.renew({ ...held, ttlMs: 60_000 })).outcome, "lost", "what was released is not renewed");
    await other.take("a");
  },

  "no grant and no renewal goes beyond the maximum hold": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 60_000, maxHoldMs: 400 });
    const limitMs = held.acquiredAtMs + 1_500;
    holds(held.expiresAtMs <= limitMs, `no grant goes beyond the maximum hold, ${limitMs}`, held);
    const renewed = await renew(one, held, 60_000);
    holds(renewed.expiresAtMs <= limitMs, `no renewal goes beyond the maximum hold, ${limitMs}`, renewed);
    await one.until(limitMs);
    const lost = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(lost, { outcome: "lost", reason: "max-hold" }, "what has reached its maximum hold is lost, and says why");
    await one.take("a");
  },

  "a key released before its minimum hold is kept from everybody until then": async ({ one, other }) => {
    const held = await one.take("a", { minHoldMs: 1_500 });
    const untilMs = held.acquiredAtMs + 1_500;
    same((await one.store.release(held)).outcome, "released", "a release before the minimum hold is a release");
    const { state, holders, freeAtMs } = await other.store.check("a");
    same({ state, holders }, { state: "cooling", holders: [] }, "until then nobody has the key, and it is not free");
    holds(Math.abs((freeAtMs ?? 0) - untilMs) < 2, `freeAtMs is the end of the minimum hold, ${untilMs}`, freeAtMs);
    for (const process of [one, other]) {
      const { holder: last } = await process.refused("a");
      const isLast = last?.fence === held.fence && Math.abs(last.expiresAtMs - untilMs) < 2;
      holds(isLast, `who is refused is told who had it last, and the end of the minimum hold, ${untilMs}`, last);
    }
    const renewed = await one.store.renew({ ...held, ttlMs: 60_000 });
    same(renewed.outcome, "lost", "what was released is not renewed");
    await one.until(untilMs);
    await other.take("a");
  },

  "a last word ends the minimum hold of a call that never had its lock, and keeps that of one that had": async ({
    one,
  }) => {
    const never = await one.take("never", { minHoldMs: 60_000 });
    await one.store.abandon({ ...never, wasHeld: false });
    same(await one.state("never"), "free", "without wasHeld the minimum hold does not count");
    const had = await one.take("had", { minHoldMs: 60_000 });
    await one.store.abandon({ ...had, wasHeld: true });
    same(await one.state("had"), "cooling", "with wasHeld the minimum hold counts");
  },
};

async function renew({ store }: Process, held: Held, ttlMs: number): Promise<Validity> {
  const answer = await store.renew({ ...held, ttlMs });
  holds(answer.outcome === "renewed", "a grant that stands is renewed", answer);
  return answer;
}

async function endOf({ store }: Process, key: string): Promise<number | undefined> {
  return (await store.check(key)).holders[0]?.expiresAtMs;
}
