// A grant in a prepared transaction: it has no server process, and outlives every connection and a restart of the server.
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";

test.each(["new", "known"])(
  "a key that is granted in one is blocked by it, by name, until that ends (a key that is %s)",
  async (what) => {
    await using cluster = await startCluster({ settings: { max_prepared_transactions: 5 } });
    await using database = await createDatabase({ on: cluster });
    expectLeft(database, "sessions");
    const key = `${what} key`;
    const gid = "somebody's half";
    {
      await using locker = openLocker(database, { owner: "before" });
      if (what === "known") await locker.withLock(key, () => undefined);
      await using session = await openSession(database);
      await session.begin();
      await session.run(`select leasehold.try_acquire('${key}', '5 min', owner => 'preparing')`);
      await session.run(`prepare transaction '${gid.replace("'", "''")}'`);
    }

    for (const moment of ["at once", "after a crash of the server"]) {
      if (moment !== "at once") await cluster.restart("immediate");
      await using locker = openLocker(database);
      expect(await locker.check(key), moment).toMatchObject({
        state: "blocked",
        expiresAt: null,
        blockingPid: null,
        blockingTransaction: gid,
      });
      expect(await locker.isLocked(key)).toBe(true);
      await using session = await openSession(database);
      expect(
        await session.run(`select state, blocking_pid, blocking_transaction from leasehold.check('${key}')`),
      ).toEqual([{ state: "blocked", blocking_pid: null, blocking_transaction: gid }]);
      expect(await session.run("select key, state, blocking_transaction from leasehold.active_leases")).toEqual(
        what === "known" ? [{ key, state: "blocked", blocking_transaction: gid }] : [],
      );
      const refusal = await locker.forceRelease(key).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ message: expect.stringContaining(`the prepared transaction "${gid}"`) });
      await expect(session.run(`select leasehold.force_release('${key}')`)).rejects.toMatchObject({
        code: "55P03",
        detail: "It is the prepared transaction 'somebody''s half'.",
      });
    }

    await using locker = openLocker(database);
    await using session = await openSession(database);
    await session.run("commit prepared 'somebody''s half'");
    expect(await locker.check(key)).toMatchObject({ state: "held", owner: "preparing", blockingTransaction: null });
    await session.run(`delete from leasehold.leases where key = '${key}'`);
  },
);
