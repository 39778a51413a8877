import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, show } from "./process.js";
import type { Tests } from "./tests.js";

/** Looking. */
export const looks: Tests = {
  "check says who has the key, since when, until when, and with what": async ({ one, other }) => {
    const stored = { job: "ä", list: [1, null, "\u0001"] };
    const held = await one.take("a", { owner: "me", metadata: JSON.stringify(stored) });
    const { nowMs, metadata, ...state } = await other.store.check("a");
    assert.ok(Number.isFinite(nowMs));
    assert.deepEqual(JSON.parse(metadata ?? "null"), stored);
    assert.deepEqual(state, {
      state: "held",
      holder: { owner: "me", fence: held.fence, expiresAtMs: held.expiresAtMs },
      acquiredAtMs: held.acquiredAtMs,
      freeAtMs: held.expiresAtMs,
      waiters: 0,
    });
  },

  "check of a free key says so, and no check changes anything": async ({ one }) => {
    const look = async (): Promise<unknown> => {
      const { nowMs: _, ...state } = await one.store.check("a");
      return state;
    };
    const free = { state: "free", holder: null, acquiredAtMs: null, freeAtMs: null, metadata: null, waiters: 0 };
    assert.deepEqual(await look(), free);
    const held = await one.take("a", { ttlMs: 200 });
    const before = await look();
    assert.deepEqual(await look(), before);
    await one.until(held.expiresAtMs);
    const expired = await one.store.check("a");
    assert.deepEqual([expired.state, expired.holder?.fence, expired.freeAtMs], ["expired", held.fence, null]);
  },

  "ping is a round trip, and says what answers": async ({ one }) => {
    const { ms, serverVersion } = await one.store.ping();
    assert.ok(ms >= 0);
    assert.ok(serverVersion.length > 0);
  },

  "a feature says whether it is there, and why": async ({ one }) => {
    for (const [name, state] of Object.entries(one.store.features)) {
      assert.equal(typeof state.isOn, "boolean", name);
      assert.ok(state.why.length > 0, `${name} says why`);
    }
    assert.equal(one.has("force-release"), one.store.forceRelease !== undefined, "force-release is forceRelease()");
  },

  "closing one store leaves the locks of the others alone": async ({ one, other, open }) => {
    const third = await open();
    const held = await other.take("a");
    await third.take("b");
    await third.store.close();
    assert.equal((await other.store.renew({ ...held, ttlMs: 60_000 })).outcome, "renewed");
    await one.refused("a");
  },
};

/** Waiting in line, for stores that have a queue. */
export const queues: Tests = {
  "who waits is granted the key in the order of the tickets": async ({ one, other, open }) => {
    const third = await open();
    let held = await one.take("a");
    const waiting = [];
    for (const process of [other, third, one]) waiting.push({ process, ...(await process.queued("a")) });
    const tickets = waiting.map(({ ticket }) => ticket);
    assert.deepEqual(
      tickets,
      [...tickets].sort((a, b) => (a < b ? -1 : 1)),
      "tickets rise",
    );
    assert.equal((await one.store.check("a")).waiters, 3);
    for (const [index, { process, token, ticket }] of waiting.entries()) {
      await process.store.release(held);
      await one.store.release(held);
      for (const later of waiting.slice(index + 1)) {
        const answer = await later.process.ask("a", { token: later.token, ticket: later.ticket, waits: true });
        assert.equal(answer.outcome, "queued", `it is not its turn: ${show(answer)}`);
      }
      held = await process.take("a", { token, ticket, waits: true });
    }
  },

  "a try is refused while somebody waits, although the key is free": async ({ one, other }) => {
    const held = await one.take("a");
    await other.queued("a");
    await one.store.release(held);
    assert.equal((await one.refused("a")).holder, null);
  },

  "whoever asks again keeps its ticket": async ({ one, other }) => {
    await one.take("a");
    const { ticket, token } = await other.queued("a");
    for (const given of [ticket, null])
      assert.equal((await other.queued("a", { token, ticket: given })).ticket, ticket);
    assert.equal((await one.store.check("a")).waiters, 1);
  },

  "abandon leaves the queue": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a");
    const first = await other.queued("a");
    const second = await third.queued("a");
    await other.store.abandon({ key: "a", token: first.token, wasHeld: false });
    assert.equal((await one.store.check("a")).waiters, 1);
    await one.store.release(held);
    await third.take("a", { ...second, waits: true });
  },

  "an entry that nobody repeats stands in nobody's way for long, and its ticket keeps the place": async ({
    one,
    other,
    open,
  }) => {
    const third = await open();
    const held = await one.take("a");
    const gone = await other.queued("a");
    const patient = await third.queued("a");
    assert.ok(gone.ticket < patient.ticket);
    await eventually("only the one that looks is left in the queue", async () => {
      await third.queued("a", patient);
      return (await one.store.check("a")).waiters === 1;
    });
    await other.queued("a", gone); // it is back, before the other
    await one.store.release(held);
    const answer = await third.ask("a", { ...patient, waits: true });
    assert.equal(answer.outcome, "queued", `the older ticket is first: ${show(answer)}`);
    await other.take("a", { ...gone, waits: true });
  },

  "who waits is told when a look is worth while": async ({ one, other }) => {
    const held = await one.take("a", { ttlMs: 500 });
    const answer = await other.ask("a", { waits: true });
    assert.ok(answer.outcome === "queued");
    if (answer.lookInMs !== null) {
      const slackMs = answer.lookInMs - (held.expiresAtMs - held.nowMs);
      assert.ok(answer.lookInMs >= 0 && slackMs < 100, `the lease ends in 500 ms at most: ${answer.lookInMs}`);
    }
  },
};

/** For stores that wake who is next. */
export const wakes: Tests = {
  "a release wakes the next waiter, in whatever process": async ({ one, other }) => {
    const held = await one.take("a");
    await other.queued("a");
    await sleep(20);
    other.woken.length = 0;
    await one.store.release(held);
    await eventually("the next waiter is woken", () => other.woken.some((key) => key === "a" || key === null));
  },
};

/** For stores that can take a key from its holder. */
export const force: Tests = {
  "a release by force ends renewals, and the key is free when its holder lets go or at its expiry": async ({
    one,
    other,
  }) => {
    const held = await one.take("a", { owner: "me", ttlMs: 1_000 });
    const taken = await other.store.forceRelease?.({ key: "a", fence: null, immediate: false });
    const holder = { owner: "me", fence: held.fence, expiresAtMs: held.expiresAtMs };
    assert.deepEqual(taken, { outcome: "revoked", freeAtMs: held.expiresAtMs, holder });
    assert.equal(await one.state("a"), "revoked");
    assert.deepEqual(await one.store.renew({ ...held, ttlMs: 60_000 }), { outcome: "lost", reason: "forced" });
    await other.refused("a");
    await one.until(held.expiresAtMs);
    await other.take("a");
  },

  "at once, it frees the key now, and its old holder is told that it was taken by force": async ({ one, other }) => {
    const held = await one.take("a");
    const taken = await other.store.forceRelease?.({ key: "a", fence: held.fence, immediate: true });
    assert.deepEqual([taken?.outcome, taken?.freeAtMs, taken?.holder?.fence], ["released", null, held.fence]);
    assert.deepEqual(await one.store.renew({ ...held, ttlMs: 60_000 }), { outcome: "lost", reason: "forced" });
    assert.ok((await other.take("a")).fence > held.fence);
  },

  "it takes no other grant than the one that is named, and nothing where there is none": async ({ one }) => {
    const gone = { outcome: "gone", freeAtMs: null, holder: null };
    assert.deepEqual(await one.store.forceRelease?.({ key: "a", fence: null, immediate: true }), gone);
    const held = await one.take("a");
    const request = { key: "a", fence: held.fence + 1n, immediate: true };
    assert.deepEqual(await one.store.forceRelease?.(request), gone);
    assert.equal(await one.state("a"), "held");
  },

  "it ends a minimum hold": async ({ one, other }) => {
    await one.store.release(await one.take("a", { minHoldMs: 60_000 }));
    const taken = await other.store.forceRelease?.({ key: "a", fence: null, immediate: false });
    assert.deepEqual(taken, { outcome: "released", freeAtMs: null, holder: null });
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
    const outcomes = [];
    for (const [resource, fence] of [
      ["r", middle],
      ["r", middle],
      ["r", low],
      ["r", high],
      ["r", middle],
      ["s", low],
    ] as const) {
      outcomes.push(await other.store.checkFence?.(resource, fence));
    }
    assert.deepEqual(outcomes, ["passed", "passed", "stale", "passed", "stale", "passed"]);
  },
};

/** For stores that sweep, or rest. */
export const housekeeping: Tests = {
  "a sweep leaves live leases and waiters alone": async ({ one, other }) => {
    if (one.store.sweep === undefined) return;
    const held = await one.take("a");
    await one.store.release(await one.take("b", { minHoldMs: 60_000 }));
    if (one.has("queue")) await other.queued("a");
    const result = await one.store.sweep();
    assert.equal(typeof result.leasesPurged, "number");
    assert.equal((await one.store.renew({ ...held, ttlMs: 60_000 })).outcome, "renewed");
    assert.equal(await other.state("b"), "cooling");
    if (one.has("queue")) assert.equal((await one.store.check("a")).waiters, 1);
  },

  "after a rest it goes on with the next request, and what was held is held": async ({ one, other }) => {
    if (one.store.rest === undefined) return;
    const held = await one.take("a");
    await one.store.rest();
    await one.store.open();
    assert.equal((await one.store.renew({ ...held, ttlMs: 60_000 })).outcome, "renewed");
    await other.refused("a");
  },
};
