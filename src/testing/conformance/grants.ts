import { randomUUID } from "node:crypto";
import { holds, same } from "./assertions.js";
import { eventually, fencesOf, type Held } from "./process.js";
import type { Tests } from "./tests.js";

/** Grants. */
export const grants: Tests = {
  "a free key is granted for its TTL, by the store's own clock": async ({ one, other }) => {
    const held = await one.take("a", { ttlMs: 60_000 });
    const leftMs = held.expiresAtMs - held.nowMs;
    holds(leftMs <= 60_000 && leftMs > 50_000, "expiresAtMs is 60,000 ms from nowMs on for a ttlMs of 60,000", held);
    holds(held.acquiredAtMs <= held.nowMs, "acquiredAtMs is not after nowMs", held);
    holds(typeof held.fence === "bigint", "a fence is a bigint", held);
    await other.take("b", { waits: true }); // whoever would wait need not
  },

  "a key that is held is refused to everybody else, who is told the holder": async ({ one, other }) => {
    const { fence, expiresAtMs } = await one.take("a", { owner: "first" });
    for (const process of [one, other]) {
      const { holder } = await process.refused("a", { owner: "second" });
      same(holder, { owner: "first", fence, weight: 1, expiresAtMs }, "who is refused is told the holder");
    }
  },

  "the same token asked again is the same grant": async ({ one }) => {
    const held = await one.take("a");
    const again = await one.take("a", { token: held.token });
    const { fence, acquiredAtMs } = held;
    same(
      { fence: again.fence, acquiredAtMs: again.acquiredAtMs },
      { fence, acquiredAtMs },
      "the same token asked again is the same grant, with the same fence",
    );
    holds(again.expiresAtMs >= held.expiresAtMs, "it does not end earlier for that", { held, again });
    await one.store.release(held);
    same(await one.state("a"), "free", "it was one grant: one release frees the key");
  },

  "of many that ask at once one is granted, and the same token is granted once": async ({ one, other }) => {
    const token = randomUUID();
    const tokens = [token, token, randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const asked = tokens.map((by, index) => (index % 2 === 0 ? one : other).ask("a", { token: by }));
    const answers = await Promise.all(asked);
    const granted = answers.flatMap((answer, index) =>
      answer.outcome === "granted" ? [{ token: tokens[index], fence: answer.fence }] : [],
    );
    holds(new Set(granted.map((grant) => grant.token)).size === 1, "one token has the key", answers);
    holds(new Set(granted.map(({ fence }) => fence)).size === 1, "it was granted once", answers);
  },

  "keys have nothing to do with each other, whatever they are made of": async ({ one, other }) => {
    const long = "k".repeat(511); // a key has 512 bytes at most
    const names = ["a", "A", "a:b", "a b", " a", "a%", "a_", "ä", "🔒", "'; drop table leases; --"];
    const keys = [...names, `${long}k`, `${long}l`];
    for (const key of keys) await one.take(key);
    for (const key of keys) await other.refused(key);
  },

  "an acquire from notAfterMs on is late, says the time, and does nothing": async ({ one }) => {
    const nowMs = await one.now();
    for (const waits of [false, true]) {
      const answer = await one.ask("a", { waits, notAfterMs: nowMs });
      same(answer.outcome, "late", "an acquire from notAfterMs on is answered late");
      holds(
        "nowMs" in answer && answer.nowMs >= nowMs,
        `late says the store's time, which is ${nowMs} at least`,
        answer,
      );
    }
    const { state, waiters } = await one.store.check("a");
    same({ state, waiters }, { state: "free", waiters: 0 }, "an acquire that is late does nothing");
  },

  "an acquire that comes after its last word is late, so that nothing is left behind": async ({ one, other }) => {
    const token = randomUUID();
    const notAfterMs = (await one.now()) + 50;
    await one.until(notAfterMs);
    const { outcome } = await one.store.abandon({ key: "a", token, wasHeld: false });
    same(outcome, "gone", "abandon finds nothing of a token that was never granted");
    same((await one.ask("a", { token, notAfterMs })).outcome, "late", "an acquire from notAfterMs on is answered late");
    await other.take("a");
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
    const isRising = fences.every((fence, index) => index === 0 || fence > (fences[index - 1] as bigint));
    holds(isRising, "a fence is larger than that of every earlier grant of the key", fences);
  },

  "nobody else is granted the key before the lease ends": async ({ one, other }) => {
    const held = await one.take("a", { ttlMs: 300 });
    const next = await eventually(
      "a lease that is not renewed ends, and the key is granted to the next one",
      async () => {
        const answer = await other.ask("a");
        return answer.outcome === "granted" ? answer : undefined;
      },
    );
    holds(next.acquiredAtMs >= held.expiresAtMs, "the key is kept until expiresAtMs", { held, next });
  },

  "an expired lease is free for the next, and its old token can do nothing any more": async ({ one, other }) => {
    const held = await one.take("a", { ttlMs: 100, owner: "late" });
    await one.until(held.expiresAtMs);
    const renew = (): Promise<unknown> => one.store.renew({ ...held, ttlMs: 60_000 });
    same(await renew(), { outcome: "lost", reason: "expired" }, "no renewal revives a lease that has expired");
    const next = await other.take("a");
    if (next.takeover) {
      const { owner, fence, reason } = next.takeover;
      const expected = { owner: "late", fence: held.fence, reason: "expired" };
      same({ owner, fence, reason }, expected, "a takeover says from whom");
    }
    same(await renew(), { outcome: "lost", reason: "taken" }, "whose key was granted to somebody else is told so");
    same(
      (await one.store.release(held)).outcome,
      "gone",
      "whose key was granted to somebody else has nothing to release",
    );
    same(await fencesOf(other, "a"), [next.fence], "the next one has the key");
  },
};

/** How grants end. */
export const ends: Tests = {
  "a release frees the key at once": async ({ one, other }) => {
    const held = await one.take("a");
    same(await one.store.release(held), { outcome: "released", reason: null }, "a release in time is answered so");
    same(await other.state("a"), "free", "what was released is free");
    await other.take("a");
  },

  "only token and fence together release": async ({ one, other }) => {
    const held = await one.take("a");
    const wrong = [
      { ...held, token: randomUUID() },
      { ...held, fence: held.fence + 1n },
      { ...held, key: "b" },
    ];
    for (const request of wrong) {
      same((await other.store.release(request)).outcome, "gone", "key, token and fence must match");
    }
    same(await one.state("a"), "held", "a release by another token or fence leaves the grant alone");
  },

  "a second release finds nothing, and leaves the next grant alone": async ({ one, other }) => {
    const held = await one.take("a");
    await one.store.release(held);
    const next = await other.take("a");
    same((await one.store.release(held)).outcome, "gone", "a second release finds nothing");
    const abandoned = await one.store.abandon({ ...held, wasHeld: true });
    same(abandoned.outcome, "gone", "abandon finds nothing of a token that was released");
    same(await fencesOf(other, "a"), [next.fence], "the next grant is left alone");
  },

  "the release of an expired lease says that it had expired, or that there is nothing any more": async ({ one }) => {
    const held = await one.take("a", { ttlMs: 100 });
    await one.until(held.expiresAtMs);
    const answer = await one.store.release(held);
    holds(answer.outcome !== "released", "what had expired was not released in time", answer);
    holds(answer.reason === "expired" || answer.reason === null, "the reason is that it expired", answer);
    await one.take("a");
  },

  "abandon frees what its token was granted": async ({ one, other }) => {
    const held = await one.take("a");
    const request = { ...held, wasHeld: false };
    same((await one.store.abandon(request)).outcome, "released", "abandon frees what its token was granted");
    same((await one.store.abandon(request)).outcome, "gone", "a second abandon finds nothing");
    await other.take("a");
  },
};
