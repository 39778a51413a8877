// Shares in memory obey the rules of Postgres's (decision 27), to the millisecond.
import { describe, expect, test } from "vitest";
import { type Process, READ, slot, World } from "./processes.js";

function setUp(): { readonly world: World; readonly one: Process; readonly other: Process } {
  const world = new World();
  return { world, one: world.process(), other: world.process() };
}

async function outcomes(asked: readonly Promise<{ readonly outcome: string }>[]): Promise<readonly string[]> {
  return (await Promise.all(asked)).map(({ outcome }) => outcome);
}

const waits = { waits: true } as const;

describe("what fits beside what is held", () => {
  test("readers do, a writer does not; and beside a writer nobody", async () => {
    const { one, other } = setUp();
    const readers = [await one.take("r1", READ), await other.take("r2", READ)];
    expect(await outcomes([one.look("w"), other.look("r3", READ)])).toEqual(["held", "granted"]);
    await other.store.abandon({ key: "a", token: "r3", wasHeld: true });
    for (const reader of readers) {
      expect(await one.look("w")).toMatchObject({ outcome: "held", holder: { fence: reader.fence } });
      await one.store.release(reader);
    }
    await one.take("w");
    expect(await outcomes([other.look("r4", READ), other.look("s", slot(5))])).toEqual(["held", "held"]);
  });

  test("weights do up to the capacity, and a writer does not", async () => {
    const { one, other } = setUp();
    const two = await one.take("s1", slot(3, 2));
    expect(await outcomes([other.look("s2", slot(3, 2)), other.look("s3", slot(3)), other.look("w")])).toEqual([
      "held",
      "granted",
      "held",
    ]);
    await one.store.release(two);
    expect(await outcomes([other.look("s4", slot(3, 3)), other.look("s2", slot(3, 2))])).toEqual(["held", "granted"]);
  });

  test("the smallest capacity counts: of a holder, of one that waits ahead, and of the asker itself", async () => {
    const { one, other } = setUp();
    const alone = await one.take("s1", slot(1));
    expect(await other.look("s2", slot(5))).toMatchObject({ outcome: "held" });
    await one.store.release(alone);
    await one.take("s3", slot(9));
    await one.take("s4", slot(9));
    expect(await other.look("s5", slot(2))).toMatchObject({ outcome: "held" });
    const ticket = await other.queueUp("s6", slot(2));
    expect(await one.look("s7", slot(9))).toMatchObject({ outcome: "held" });
    await other.store.abandon({ key: "a", token: "s6", wasHeld: false });
    await one.take("s7", slot(9));
    expect(ticket).toBe(1n);
  });

  test("a read lock is a weight of 1 without a capacity", async () => {
    const { one, other } = setUp();
    await one.take("r1", READ);
    await other.take("s1", slot(2));
    expect(await outcomes([one.look("r2", READ), one.look("s2", slot(9))])).toEqual(["held", "held"]);
  });

  test("a capacity that nobody has any more does not count", async () => {
    const { one } = setUp();
    const small = await one.take("s1", slot(2));
    await one.take("r1", READ);
    await one.store.release(small);
    await one.take("s2", slot(3));
    await one.take("s3", slot(3));
    expect(await one.look("s4", slot(3))).toMatchObject({ outcome: "held" });
  });
});

describe("the line", () => {
  test("a writer in it stops readers that come later, and a try", async () => {
    const { one, other } = setUp();
    const reader = await one.take("r1", READ);
    const writer = await other.queueUp("w");
    const later = await one.queueUp("r2", READ);
    expect(await one.look("r3", READ)).toMatchObject({ outcome: "held", holder: { fence: reader.fence } });
    await one.store.release(reader);
    expect(await one.look("r2", { ...READ, ...waits, ticket: later })).toMatchObject({
      outcome: "queued",
      holder: null,
    });
    const held = await other.take("w", { ...waits, ticket: writer });
    expect(await one.look("r2", { ...READ, ...waits, ticket: later })).toMatchObject({ outcome: "queued" });
    await other.store.release(held);
    await one.take("r2", { ...READ, ...waits, ticket: later });
  });

  test("readers side by side get in together, whoever looks first; those behind the next writer do not", async () => {
    const { one, other } = setUp();
    const held = await one.take("w1");
    const tickets: bigint[] = [];
    for (const token of ["r1", "r2", "r3"]) tickets.push(await other.queueUp(token, READ));
    await other.queueUp("w2");
    const last = await other.queueUp("r4", READ);
    await one.store.release(held);
    for (const [index, token] of ["r3", "r1", "r2"].entries()) {
      await other.take(token, { ...READ, ...waits, ticket: tickets[Number(token[1]) - 1] as bigint });
      expect((await one.store.check("a")).holders).toHaveLength(index + 1);
    }
    expect(await other.look("r4", { ...READ, ...waits, ticket: last })).toMatchObject({ outcome: "queued" });
  });

  test("one that asks for a weight of 2 is not passed by others of weight 1", async () => {
    const { one, other } = setUp();
    const first = await one.take("s1", slot(2));
    const second = await one.take("s2", slot(2));
    const heavy = await other.queueUp("s3", slot(2, 2));
    await one.store.release(first);
    expect(await outcomes([one.look("s4", slot(2)), one.look("s5", { ...slot(2), ...waits })])).toEqual([
      "held",
      "queued",
    ]);
    await one.store.release(second);
    await other.take("s3", { ...slot(2, 2), ...waits, ticket: heavy });
  });

  test("who waits is told when to look: a writer when the last has ended, a reader when the first has", async () => {
    const { world, one, other } = setUp();
    await one.take("s1", { ...slot(2), ttlMs: 5_000 });
    await one.take("s2", { ...slot(2), ttlMs: 9_000 });
    world.pass(1_000);
    expect(await other.look("s3", { ...slot(2), ...waits })).toMatchObject({ lookInMs: 4_000 });
    expect(await other.look("w", waits)).toMatchObject({ lookInMs: 8_000 });
  });
});

describe("a share", () => {
  test("asked again with the same token is the same; with one that was let go or has expired it is a new one", async () => {
    const { world, one } = setUp();
    const first = await one.take("r", { ...READ, ttlMs: 1_000 });
    world.pass(400);
    expect(await one.take("r", READ)).toMatchObject({ fence: first.fence, expiresAtMs: first.expiresAtMs });
    expect((await one.store.check("a")).holders).toHaveLength(1);
    world.pass(600);
    const second = await one.take("r", READ);
    expect(second.fence).toBeGreaterThan(first.fence);
    expect((await one.store.check("a")).holders).toHaveLength(1);
  });

  test("that was let go before its minimum hold keeps its part until then, also from its own token", async () => {
    const { world, one, other } = setUp();
    const held = await one.take("s1", { ...slot(1), minHoldMs: 500 });
    expect(await one.store.release(held)).toEqual({ outcome: "released", reason: null });
    expect(await one.store.release(held)).toMatchObject({ outcome: "gone" });
    expect(await one.store.check("a")).toMatchObject({
      state: "cooling",
      holders: [],
      freeAtMs: held.acquiredAtMs + 500,
    });
    world.pass(499);
    expect(await outcomes([one.look("s1", slot(1)), other.look("s2", slot(1)), other.look("w")])).toEqual([
      "held",
      "held",
      "held",
    ]);
    world.pass(1);
    expect((await other.take("s2", slot(1))).takeover).toBeNull();
  });

  test("that has expired is taken over once, by whoever is granted the key next", async () => {
    const { world, one, other } = setUp();
    const lapsed = await one.take("r1", { ...READ, ttlMs: 1_000 });
    world.pass(1_000);
    expect(await one.store.renew({ ...lapsed, ttlMs: 1_000 })).toEqual({ outcome: "lost", reason: "expired" });
    expect(await one.store.check("a")).toMatchObject({
      state: "expired",
      holders: [{ fence: lapsed.fence }],
      freeAtMs: null,
    });
    const [next, beside] = [await other.take("r2", READ), await other.take("r3", READ)];
    const takeover = { owner: "owner of r1", fence: lapsed.fence, reason: "expired", sinceMs: lapsed.expiresAtMs };
    expect([next.takeover, beside.takeover]).toEqual([takeover, null]);
    expect(await one.store.renew({ ...lapsed, ttlMs: 1_000 })).toEqual({ outcome: "lost", reason: "taken" });
  });

  test("keeps its part by its minimum hold also when another one has ended, and is not whom a grant takes over from", async () => {
    const { world, one, other } = setUp();
    const lapsed = await one.take("s1", { ...slot(2), ttlMs: 200 });
    const released = await one.take("s2", { ...slot(2), minHoldMs: 500 });
    await one.store.release(released);
    world.pass(300);
    expect(await outcomes([other.look("w"), other.look("s3", slot(2, 2))])).toEqual(["held", "held"]);
    world.pass(200);
    expect((await other.take("w")).takeover).toMatchObject({ fence: lapsed.fence, reason: "expired" });
  });

  test("after an exclusive lock that has expired tells its holder that it was taken", async () => {
    const { world, one, other } = setUp();
    const writer = await one.take("w", { ttlMs: 1_000 });
    world.pass(1_000);
    expect((await other.take("r", READ)).takeover).toMatchObject({ fence: writer.fence });
    expect(await one.store.renew({ ...writer, ttlMs: 1_000 })).toEqual({ outcome: "lost", reason: "taken" });
    expect(await one.store.release(writer)).toMatchObject({ outcome: "gone" });
    expect(await outcomes([one.look("w2")])).toEqual(["held"]);
  });

  test("of a process that was declared dead keeps its part until the takeover delay is over", async () => {
    const { world, one, other } = setUp();
    const lost = await one.take("r1", READ);
    const kept = await other.take("r2", READ);
    const ticket = await other.queueUp("w");
    one.store.crash();
    await Promise.resolve();
    expect(other.wakes).toEqual(["a"]);
    await other.store.release(kept);
    expect(await other.look("w", { ...waits, ticket })).toMatchObject({ outcome: "queued", lookInMs: 5_000 });
    world.pass(5_000);
    const { takeover } = await other.take("w", { ...waits, ticket });
    expect(takeover).toMatchObject({ fence: lost.fence, reason: "orphaned" });
  });

  test("of a dead process is free then also when nobody has waited for it", async () => {
    const { world, one, other } = setUp();
    await one.take("r1", READ);
    one.store.crash();
    world.pass(4_999);
    expect(await outcomes([other.look("w")])).toEqual(["held"]);
    world.pass(1);
    expect((await other.take("w")).takeover).toMatchObject({ reason: "orphaned" });
  });

  test("has a fence above all earlier ones of its key, and an exclusive lock after it has another above", async () => {
    const { one, other } = setUp();
    const grants = [await one.take("w1")];
    await one.store.release(grants[0] as never);
    grants.push(await one.take("r1", READ), await other.take("r2", READ), await one.take("s", slot(9)));
    for (const grant of grants.slice(1)) await one.store.release(grant);
    grants.push(await one.take("w2"));
    const fences = grants.map(({ fence }) => fence);
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => (a < b ? -1 : 1)));
  });

  test("goes on with another token, another owner, and its place among the others", async () => {
    const { world, one, other } = setUp();
    const first = await one.take("s1", slot(3, 2));
    await other.take("s2", slot(3));
    await one.store.detach({ ...first, ttlMs: 30_000 });
    const terms = { newToken: "s3", owner: "new", ttlMs: 9_000, maxHoldMs: null, notAfterMs: Number.POSITIVE_INFINITY };
    expect(await other.store.adopt({ ...first, ...terms })).toMatchObject({ outcome: "adopted" });
    expect(await other.store.adopt({ ...first, ...terms })).toMatchObject({ outcome: "adopted" });
    expect(await one.store.release(first)).toMatchObject({ outcome: "gone" });
    expect((await one.store.check("a")).holders).toMatchObject([{ owner: "new", weight: 2 }, { weight: 1 }]);
    world.pass(9_000);
    expect(await one.look("s4", slot(3, 2))).toMatchObject({ outcome: "granted" });
  });
});

describe("check", () => {
  test("tells all who share the key, the oldest first", async () => {
    const { world, one, other } = setUp();
    const first = await one.take("s1", { ...slot(4, 3), ttlMs: 1_000, metadata: '{"n":1}' });
    world.pass(10);
    const second = await other.take("s2", slot(4));
    expect(await one.store.check("a")).toEqual({
      state: "held",
      mode: "semaphore",
      holders: [
        { owner: "owner of s1", fence: first.fence, weight: 3, expiresAtMs: first.expiresAtMs },
        { owner: "owner of s2", fence: second.fence, weight: 1, expiresAtMs: second.expiresAtMs },
      ],
      acquiredAtMs: first.acquiredAtMs,
      freeAtMs: second.expiresAtMs,
      nowMs: world.nowMs,
      metadata: '{"n":1}',
      waiters: 0,
    });
    world.pass(990);
    expect(await one.store.check("a")).toMatchObject({
      state: "held",
      holders: [{ fence: second.fence }],
      metadata: null,
    });
  });
});

describe("a release by force", () => {
  test("takes all shares, or the one with the fence", async () => {
    const { one, other } = setUp();
    const [first, second] = [await one.take("r1", READ), await other.take("r2", { ...READ, ttlMs: 40_000 })];
    const one_ = await one.store.forceRelease({ key: "a", fence: second.fence, immediate: true });
    expect(one_).toMatchObject({ outcome: "released", holders: [{ fence: second.fence }] });
    expect(other.losses).toEqual([["r2", "forced"]]);
    const third = await other.take("r3", { ...READ, ttlMs: 40_000 });
    const all = await one.store.forceRelease({ key: "a", fence: null, immediate: false });
    expect(all).toMatchObject({
      outcome: "revoked",
      freeAtMs: third.expiresAtMs,
      holders: [{ fence: first.fence }, { fence: third.fence }],
    });
    expect(await one.store.check("a")).toMatchObject({ state: "revoked", holders: [{}, {}] });
    expect(await one.store.renew({ ...first, ttlMs: 9_000 })).toEqual({ outcome: "lost", reason: "forced" });
    // It stands until its holder lets go, also for its own token.
    expect(await outcomes([one.look("r1", READ), one.look("w")])).toEqual(["held", "held"]);
    for (const grant of [first, third]) {
      expect(await one.store.release(grant)).toEqual({ outcome: "released", reason: null });
    }
    await one.take("w");
  });
});

describe("who is woken", () => {
  const woken = async (processes: readonly Process[]): Promise<readonly number[]> => {
    await Promise.resolve();
    return processes.map(({ wakes }) => wakes.splice(0).length);
  };

  test("every process that has somebody who fits, once; nobody while a writer waits for other readers", async () => {
    const world = new World();
    const [holder, a, b, c] = [world.process(), world.process(), world.process(), world.process()];
    const held = await holder.take("w1");
    await a.queueUp("r1", READ);
    await b.queueUp("r2", READ);
    await a.queueUp("r3", READ);
    await c.queueUp("w2");
    await holder.store.release(held);
    expect(await woken([holder, a, b, c])).toEqual([0, 1, 1, 0]);
    const readers = [await a.take("r1", READ), await b.take("r2", READ), await a.take("r3", READ)];
    for (const [index, reader] of readers.entries()) {
      await a.store.release(reader);
      expect(await woken([holder, a, b, c])).toEqual([0, 0, 0, index === 2 ? 1 : 0]);
    }
  });

  test("those behind a writer that gives up", async () => {
    const { one, other } = setUp();
    await one.take("r1", READ);
    await one.queueUp("w");
    await other.queueUp("r2", READ);
    await one.store.abandon({ key: "a", token: "w", wasHeld: false });
    expect(await woken([one, other])).toEqual([0, 1]);
    await other.take("r2", READ);
  });

  test("as many as the capacity allows, and a grant says whether the next fits, too", async () => {
    const world = new World();
    const [holder, a, b, c] = [world.process(), world.process(), world.process(), world.process()];
    const held = await holder.take("s0", slot(2, 2));
    for (const [process, token] of [
      [a, "s1"],
      [b, "s2"],
      [c, "s3"],
    ] as const)
      await process.queueUp(token, slot(2));
    await holder.store.release(held);
    expect(await woken([holder, a, b, c])).toEqual([0, 1, 1, 0]);
    expect((await a.take("s1", { ...slot(2), ...waits })).hasMore).toBe(true);
    expect((await b.take("s2", { ...slot(2), ...waits })).hasMore).toBe(false);
  });

  test("all that fit, when the first of them finds that a lease has expired", async () => {
    const { world, one, other } = setUp();
    await one.take("w", { ttlMs: 1_000 });
    await one.queueUp("r1", READ);
    await other.queueUp("r2", READ);
    world.pass(1_000);
    await one.take("r1", { ...READ, ...waits });
    expect(await woken([one, other])).toEqual([0, 1]);
  });
});

test("a sweep leaves shares that are held, and their line, alone, and forgets what was let go", async () => {
  const { world, one, other } = setUp();
  const held = await one.take("r1", READ);
  await one.store.release(await one.take("r2", { ...READ, minHoldMs: 1_000 }));
  await other.queueUp("w");
  world.pass(999);
  expect(await one.store.sweep()).toMatchObject({ leasesPurged: 0, waitersPurged: 0 });
  world.pass(1);
  expect(await one.store.sweep()).toMatchObject({ leasesPurged: 1, waitersPurged: 0 });
  expect(await one.store.renew({ ...held, ttlMs: 0 })).toMatchObject({ outcome: "renewed" });
  await one.store.release(held);
  expect(await one.store.sweep()).toMatchObject({ leasesPurged: 0 });
  expect(await one.store.check("a")).toMatchObject({ state: "free", holders: [], waiters: 1 });
});
