// Leases in memory obey the rules of Postgres's, to the millisecond.
import { describe, expect, test } from "vitest";
import { type Process, World } from "./processes.js";

function setUp(): { readonly world: World; readonly one: Process; readonly other: Process } {
  const world = new World();
  return { world, one: world.process(), other: world.process() };
}

describe("a grant", () => {
  test("lasts until its expiry, and no millisecond longer", async () => {
    const { world, one, other } = setUp();
    const { expiresAtMs, acquiredAtMs, fence } = await one.take("x", { ttlMs: 1_000 });
    expect(expiresAtMs - acquiredAtMs).toBe(1_000);
    world.pass(999);
    expect(await other.look("y")).toEqual({
      outcome: "held",
      holder: { owner: "owner of x", fence, weight: 1, expiresAtMs },
    });
    world.pass(1);
    const next = await other.take("y");
    expect(next.takeover).toEqual({ owner: "owner of x", fence, reason: "expired", sinceMs: expiresAtMs });
    expect(next.fence).toBeGreaterThan(fence);
  });

  test("asked again with the same token is the same, and is not extended", async () => {
    const { world, one } = setUp();
    const first = await one.take("x", { ttlMs: 1_000 });
    world.pass(400);
    expect(await one.take("x", { ttlMs: 9_000 })).toEqual({ ...first, nowMs: first.nowMs + 400 });
  });

  test("asked again after its expiry is a new one, and is not given back after a revocation", async () => {
    const { world, one } = setUp();
    const first = await one.take("x", { ttlMs: 1_000 });
    world.pass(1_000);
    const second = await one.take("x");
    expect(second.fence).toBeGreaterThan(first.fence);
    await one.store.forceRelease({ key: "a", fence: null, immediate: false });
    expect(await one.look("x")).toMatchObject({ outcome: "held" });
  });

  test("that comes at notAfterMs is late, and leaves nothing", async () => {
    const { world, one, other } = setUp();
    expect(await one.look("x", { notAfterMs: world.nowMs })).toEqual({ outcome: "late", nowMs: world.nowMs });
    await other.take("y", { notAfterMs: world.nowMs + 1 });
    expect(await one.look("x", { waits: true, notAfterMs: world.nowMs })).toMatchObject({ outcome: "late" });
    expect(await one.store.check("a")).toMatchObject({ waiters: 0 });
  });

  test("never has the fence of an earlier one, whatever became of that, and whichever key it had", async () => {
    const { world, one } = setUp();
    const fences: bigint[] = [];
    for (const end of ["release", "abandon", "expiry", "force"] as const) {
      const grant = await one.take(`x of ${end}`, { ttlMs: 1_000 });
      fences.push(grant.fence, (await one.take("other", { key: end })).fence);
      if (end === "release") await one.store.release(grant);
      if (end === "abandon") await one.store.abandon({ ...grant, wasHeld: true });
      if (end === "expiry") world.pass(1_000);
      if (end === "force") await one.store.forceRelease({ key: "a", fence: null, immediate: true });
      await one.store.sweep();
    }
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => (a < b ? -1 : 1)));
  });
});

describe("a renewal", () => {
  test("extends, never shortens, and 0 only asks", async () => {
    const { world, one } = setUp();
    const grant = await one.take("x", { ttlMs: 1_000 });
    const start = grant.acquiredAtMs;
    world.pass(500);
    const renewed = async (ttlMs: number) => one.store.renew({ ...grant, ttlMs });
    expect(await renewed(2_000)).toEqual({ outcome: "renewed", nowMs: start + 500, expiresAtMs: start + 2_500 });
    expect(await renewed(1_000)).toMatchObject({ expiresAtMs: start + 2_500 });
    expect(await renewed(0)).toMatchObject({ outcome: "renewed", expiresAtMs: start + 2_500 });
    world.pass(2_000);
    expect(await renewed(0)).toEqual({ outcome: "lost", reason: "expired" });
    expect(await renewed(9_000)).toEqual({ outcome: "lost", reason: "expired" });
  });

  test("stops at the maximum hold, and the loss says so", async () => {
    const { world, one } = setUp();
    const grant = await one.take("x", { ttlMs: 1_000, maxHoldMs: 1_500 });
    world.pass(900);
    expect(await one.store.renew({ ...grant, ttlMs: 1_000 })).toMatchObject({
      expiresAtMs: grant.acquiredAtMs + 1_500,
    });
    world.pass(600);
    expect(await one.store.renew({ ...grant, ttlMs: 1_000 })).toEqual({ outcome: "lost", reason: "max-hold" });
    expect(await one.store.release(grant)).toEqual({ outcome: "expired", reason: "max-hold" });
  });

  test("a maximum hold below the TTL ends the grant", async () => {
    const { one } = setUp();
    const { expiresAtMs, acquiredAtMs } = await one.take("x", { ttlMs: 1_000, maxHoldMs: 300 });
    expect(expiresAtMs - acquiredAtMs).toBe(300);
  });

  test("says why it is lost: taken, forced, or whatever a test has said", async () => {
    const { world, one, other } = setUp();
    const expired = await one.take("x", { ttlMs: 1_000 });
    world.pass(1_000);
    const taken = await other.take("y");
    expect(await one.store.renew({ ...expired, ttlMs: 1 })).toEqual({ outcome: "lost", reason: "taken" });
    await one.store.forceRelease({ key: "a", fence: taken.fence, immediate: false });
    expect(await other.store.renew({ ...taken, ttlMs: 1 })).toEqual({ outcome: "lost", reason: "forced" });
    await other.store.release(taken);
    const third = await one.take("z");
    world.leases.lose("a", "max-hold");
    expect(one.losses).toEqual([["z", "max-hold"]]);
    expect(await one.store.renew({ ...third, ttlMs: 1 })).toEqual({ outcome: "lost", reason: "max-hold" });
    expect(await one.store.abandon({ ...third, wasHeld: true })).toEqual({ outcome: "gone", reason: "max-hold" });
  });

  test("with another token or fence is of another grant", async () => {
    const { one } = setUp();
    const grant = await one.take("x");
    for (const wrong of [{ token: "y" }, { fence: grant.fence + 1n }]) {
      expect(await one.store.renew({ ...grant, ...wrong, ttlMs: 1 })).toMatchObject({ outcome: "lost" });
      expect(await one.store.release({ ...grant, ...wrong })).toMatchObject({ outcome: "gone" });
    }
    expect(await one.store.check("a")).toMatchObject({ state: "held", holders: [{ fence: grant.fence }] });
  });
});

describe("a minimum hold", () => {
  test("keeps the key after the release, and shows who had it", async () => {
    const { world, one, other } = setUp();
    const grant = await one.take("x", { minHoldMs: 1_000 });
    world.pass(400);
    expect(await one.store.release(grant)).toEqual({ outcome: "released", reason: null });
    const until = grant.acquiredAtMs + 1_000;
    const holder = { owner: "owner of x", fence: grant.fence, weight: 1, expiresAtMs: until };
    expect(await other.look("y")).toEqual({ outcome: "held", holder });
    expect(await other.look("y", { waits: true })).toMatchObject({ outcome: "queued", holder, lookInMs: 600 });
    expect(await one.store.check("a")).toMatchObject({ state: "cooling", holders: [], freeAtMs: until, waiters: 1 });
    expect(await one.store.renew({ ...grant, ttlMs: 1 })).toEqual({ outcome: "lost", reason: "taken" });
    world.pass(600);
    expect(await one.store.check("a")).toMatchObject({ state: "free", freeAtMs: null, acquiredAtMs: null });
    expect((await other.take("y")).takeover).toBeNull();
  });

  test("does not count for a grant that nobody had heard of, nor for one that expired", async () => {
    const { world, one, other } = setUp();
    const terms = { ttlMs: 1_000, minHoldMs: 9_000 };
    await one.take("x", terms);
    expect(await one.store.abandon({ key: "a", token: "x", wasHeld: false })).toMatchObject({ outcome: "released" });
    const expired = await one.take("y", terms);
    world.pass(1_000);
    expect(await one.store.release(expired)).toEqual({ outcome: "expired", reason: "expired" });
    await one.take("z", terms);
    expect(await one.store.abandon({ key: "a", token: "z", wasHeld: true })).toMatchObject({ outcome: "released" });
    expect(await other.look("w")).toMatchObject({ outcome: "held" });
  });

  test("is ended by force, and by a crash before the release, not after it", async () => {
    const { world, one, other } = setUp();
    await one.store.release(await one.take("x", { minHoldMs: 60_000 }));
    const ended = await other.store.forceRelease({ key: "a", fence: null, immediate: false });
    expect(ended).toEqual({ outcome: "released", freeAtMs: null, holders: [] });
    expect(one.losses).toEqual([]);

    await one.store.release(await one.take("y", { minHoldMs: 60_000 }));
    await one.take("z", { key: "b", minHoldMs: 60_000 });
    one.store.crash();
    world.pass(5_000);
    expect(await other.look("w")).toMatchObject({ outcome: "held" });
    expect(await other.look("w", { key: "b" })).toMatchObject({ outcome: "granted" });
  });
});

describe("a release by force", () => {
  test("leaves the key to its holder until that lets go or expires; a release in time is no loss", async () => {
    const { one, other } = setUp();
    const grant = await one.take("x", { minHoldMs: 1_000 });
    const { fence, expiresAtMs } = grant;
    const holder = { owner: "owner of x", fence, weight: 1, expiresAtMs };
    const answer = { outcome: "revoked", freeAtMs: expiresAtMs, holders: [holder] };
    expect(await other.store.forceRelease({ key: "a", fence, immediate: false })).toEqual(answer);
    expect(await other.store.forceRelease({ key: "a", fence: null, immediate: false })).toEqual(answer);
    expect(await other.store.check("a")).toMatchObject({ state: "revoked", holders: [holder], freeAtMs: expiresAtMs });
    expect(await other.look("y")).toEqual({ outcome: "held", holder });
    expect(await one.store.release(grant)).toEqual({ outcome: "released", reason: null });
    expect(await other.store.check("a")).toMatchObject({ state: "cooling" });
  });

  test("that is not obeyed ends at the expiry, as forced", async () => {
    const { world, one, other } = setUp();
    const grant = await one.take("x", { ttlMs: 1_000 });
    await other.store.forceRelease({ key: "a", fence: null, immediate: false });
    world.pass(1_000);
    expect(await one.store.release(grant)).toEqual({ outcome: "expired", reason: "forced" });
  });

  test("at once frees the key and tells the holder", async () => {
    const { one, other } = setUp();
    const grant = await one.take("x");
    const holder = { owner: "owner of x", fence: grant.fence, weight: 1, expiresAtMs: grant.expiresAtMs };
    expect(await other.store.forceRelease({ key: "a", fence: null, immediate: true })).toEqual({
      outcome: "released",
      freeAtMs: null,
      holders: [holder],
    });
    expect(one.losses).toEqual([["x", "forced"]]);
    expect(await one.store.release(grant)).toEqual({ outcome: "gone", reason: "forced" });
    expect((await other.take("y")).takeover).toBeNull();
  });

  test("of an expired lease, or one of a dead process, has nobody to wait for", async () => {
    const { world, one, other } = setUp();
    await one.take("x", { ttlMs: 1_000 });
    await one.take("y", { key: "b" });
    world.pass(1_000);
    expect(await other.store.forceRelease({ key: "a", fence: null, immediate: false })).toMatchObject({
      outcome: "released",
      holders: [{ owner: "owner of x" }],
    });
    one.store.crash();
    world.pass(5_000);
    expect(await other.store.forceRelease({ key: "b", fence: null, immediate: false })).toMatchObject({
      outcome: "released",
      holders: [{ owner: "owner of y" }],
    });
  });

  test("of another fence, or of a free key, is gone", async () => {
    const { one } = setUp();
    const gone = { outcome: "gone", freeAtMs: null, holders: [] };
    expect(await one.store.forceRelease({ key: "a", fence: null, immediate: true })).toEqual(gone);
    const { fence } = await one.take("x");
    expect(await one.store.forceRelease({ key: "a", fence: fence + 1n, immediate: true })).toEqual(gone);
  });

  test("lose leaves a minimum hold and a free key alone", async () => {
    const { world, one } = setUp();
    world.leases.lose("a", "taken");
    await one.store.release(await one.take("x", { minHoldMs: 1_000 }));
    world.leases.lose("a", "taken");
    expect(await one.store.check("a")).toMatchObject({ state: "cooling" });
    expect(one.losses).toEqual([]);
  });

  test("of the last thousand the reason is remembered", async () => {
    const { world, one } = setUp();
    const grants = [];
    for (let number = 0; number < 1_001; number += 1) {
      grants.push(await one.take(`x${number}`));
      world.leases.lose("a", "forced");
    }
    const reasons = await Promise.all(grants.map((grant) => one.store.release(grant)));
    expect(reasons.map(({ reason }) => reason)).toEqual(["taken", ...Array(1_000).fill("forced")]);
  });
});

describe("a process that was declared dead", () => {
  test("can ask for nothing, and its locker is told not to believe", async () => {
    const { one } = setUp();
    const grant = await one.take("x");
    one.store.crash();
    one.store.crash();
    expect(one.reconnects).toBe(1);
    const { store } = one;
    const asked = [
      store.open(),
      one.look("y"),
      store.release(grant),
      store.abandon({ ...grant, wasHeld: true }),
      store.renew({ ...grant, ttlMs: 1 }),
      store.check("a"),
      store.forceRelease({ key: "a", fence: null, immediate: true }),
      store.checkFence("r", 1n),
      store.sweep(),
      store.ping(),
    ];
    const answers = await Promise.allSettled(asked);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: "rejected", reason: { code: "unavailable", outcome: "not-sent" } });
    }
    await store.close();
  });

  test("loses its locks after the delay that it had itself", async () => {
    const world = new World();
    const dead = world.process(2_000);
    const other = world.process(60_000);
    const { fence } = await dead.take("x", { ttlMs: 30_000 });
    world.pass(100);
    const diedAtMs = world.nowMs;
    dead.store.crash();
    expect(await other.look("y", { waits: true })).toMatchObject({ outcome: "queued", lookInMs: 2_000 });
    world.pass(1_999);
    expect(await other.store.check("a")).toMatchObject({ state: "held", freeAtMs: diedAtMs + 2_000 });
    expect(await other.look("y", { waits: true })).toMatchObject({ outcome: "queued", lookInMs: 1 });
    world.pass(1);
    expect(await other.store.check("a")).toMatchObject({ state: "orphaned", freeAtMs: null });
    const takeover = { owner: "owner of x", fence, reason: "orphaned", sinceMs: diedAtMs };
    expect((await other.take("y")).takeover).toEqual(takeover);
  });

  test("whose lease expires before that is taken over as expired", async () => {
    const { world, one, other } = setUp();
    const { expiresAtMs } = await one.take("x", { ttlMs: 1_000 });
    one.store.crash();
    expect(await other.look("y", { waits: true })).toMatchObject({ lookInMs: 1_000 });
    world.pass(6_000);
    expect(await other.store.check("a")).toMatchObject({ state: "expired" });
    expect((await other.take("y")).takeover).toMatchObject({ reason: "expired", sinceMs: expiresAtMs });
  });

  test("leaves its queues at once, and those behind it are woken", async () => {
    const { world, one, other } = setUp();
    const holder = world.process();
    const grant = await holder.take("x");
    await one.queueUp("first");
    await other.queueUp("second");
    one.store.crash();
    await Promise.resolve();
    expect([one.wakes, other.wakes]).toEqual([[], ["a"]]);
    await holder.store.release(grant);
    expect(await other.look("second", { waits: true })).toMatchObject({ outcome: "granted" });
  });

  test("whose lock another process renews: that lock lives by its TTL alone", async () => {
    const { world, one, other } = setUp();
    const grant = await one.take("x", { ttlMs: 30_000 });
    expect(await other.store.renew({ ...grant, ttlMs: 0 })).toMatchObject({ outcome: "renewed" });
    const left = await one.take("y", { key: "b" });
    expect(await other.store.renew({ ...left, ttlMs: 30_000 })).toMatchObject({ outcome: "renewed" }); // while it lives
    one.store.crash();
    expect(await other.store.renew({ ...grant, ttlMs: 30_000 })).toMatchObject({ outcome: "renewed" });
    world.pass(29_999);
    expect(await other.look("z")).toMatchObject({ outcome: "held" });
    expect(await other.look("z", { key: "b" })).toMatchObject({ outcome: "granted" });
    world.pass(1);
    expect((await other.take("z")).takeover).toMatchObject({ reason: "expired" });
  });
});

test("a sweep deletes what is over, and keeps what somebody may still ask about", async () => {
  const { world, one } = setUp();
  await one.store.release(await one.take("x", { key: "cooled", minHoldMs: 10 }));
  await one.store.release(await one.take("x", { key: "cooling", minHoldMs: 700_000 }));
  const expired = await one.take("x", { key: "expired", ttlMs: 10 });
  await one.take("x", { key: "held", ttlMs: 700_000 });
  await one.queueUp("y", { key: "held" });
  world.pass(10);
  expect(await one.store.sweep()).toMatchObject({ leasesPurged: 1, waitersPurged: 0 });
  expect(await one.store.renew({ ...expired, ttlMs: 1 })).toEqual({ outcome: "lost", reason: "expired" });
  world.pass(600_000);
  expect(await one.store.sweep()).toMatchObject({ leasesPurged: 1, waitersPurged: 1, isBusy: false });
  expect(await one.store.sweep()).toMatchObject({ leasesPurged: 0, waitersPurged: 0 });
  const states = await Promise.all(["cooled", "cooling", "expired", "held"].map((key) => one.store.check(key)));
  expect(states.map(({ state }) => state)).toEqual(["free", "cooling", "free", "held"]);
});

test("a mark rises, and what is below it is stale", async () => {
  const { one, other } = setUp();
  expect(await one.store.checkFence("r", 5n)).toBe("passed");
  expect(await other.store.checkFence("r", 5n)).toBe("passed");
  expect(await other.store.checkFence("r", 4n)).toBe("stale");
  expect(await other.store.checkFence("s", 4n)).toBe("passed");
  expect(await one.store.checkFence("r", 6n)).toBe("passed");
  expect(await one.store.checkFence("r", 5n)).toBe("stale");
});
