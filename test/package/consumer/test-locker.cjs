// What createTestLocker does under every test runner, with fake timers and without. The function is given, for `import` and `require` have one each.
const assert = require("node:assert/strict");

/** By name. `passAnHour` moves the fake timers of the runner. */
module.exports = (createTestLocker, passAnHour) => ({
  "a wait times out on the test's clock, and says who has the key": async () => {
    const { locker, clock, otherProcess } = createTestLocker();
    const other = otherProcess({ owner: "till 2" });
    const held = await other.acquire("order:1");
    const waiting = locker.acquire("order:1", { waitMs: 5_000 });
    const refused = assert.rejects(waiting, { code: "wait-timeout", message: /till 2/ });
    await clock.advance(5_000);
    await refused;
    await held.release();
    await Promise.all([locker.close(), other.close()]);
  },
  "whoever waits is woken by a release": async () => {
    const { locker, clock, otherProcess } = createTestLocker();
    const other = otherProcess();
    const held = await other.acquire("order:1");
    const waiting = locker.acquire("order:1");
    await clock.advance(100);
    await held.release();
    assert.ok((await waiting).held);
    await Promise.all([locker.close(), other.close()]);
  },
  "a lock that is lost stops the work": async () => {
    const { locker, faults } = createTestLocker();
    const work = ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        faults.lose("order:1");
      });
    await assert.rejects(locker.withLock("order:1", work), { code: "lease-lost" });
    await locker.close();
  },
  "renewals run on the test's clock, and on no other": async () => {
    const { locker, clock } = createTestLocker({ ttlMs: 9_000 });
    const lock = await locker.acquire("a");
    await passAnHour();
    assert.deepEqual([lock.held, locker.stats().renewed], [true, 0]);
    await clock.advance(3_000);
    assert.equal(locker.stats().renewed, 1);
    await locker.close();
  },
  "slow answers, an outage and a crash take their time on it, too": async () => {
    const { locker, clock, faults, otherProcess } = createTestLocker();
    const other = otherProcess();
    await other.acquire("b");
    faults.slow(100);
    const slow = Promise.all(Array.from({ length: 12 }, (_, index) => locker.acquire(`a${index}`)));
    await clock.advance(1_000);
    assert.ok((await slow).every(({ held }) => held));
    faults.heal();
    faults.disconnect();
    await assert.rejects(locker.check("b"), { code: "unavailable" });
    faults.heal();
    faults.crash(other);
    const next = locker.acquire("b");
    await clock.advance(6_000);
    assert.ok((await next).held);
    faults.disconnect();
    await Promise.all([locker.close(), other.close()]); // which moves the clock by itself
  },
});
