// Hundreds of guarded transactions on one lease at once: they block neither each other nor what the lease itself needs.
import pg from "pg";
import { expect, test } from "vitest";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";

const MANY = 200;

test("all are open together, the lease is renewed and released meanwhile, other keys go on, and all commit", async () => {
  await using cluster = await startCluster({ settings: { max_connections: MANY + 50 } });
  await using database = await createDatabase({ on: cluster });
  await database.sql`create table written (n int not null)`;
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const pool = new pg.Pool({ connectionString: database.url, max: MANY });
  const lock = await locker.acquire("shared", { guardTimeoutMs: 60_000 });
  let open = 0;
  let goOn = (): void => undefined;
  const allAreOpen = new Promise<void>((resolve) => {
    goOn = resolve;
  });

  const transactions = Array.from({ length: MANY }, (_, n) =>
    lock.transaction(pool, async (tx) => {
      await tx.query("insert into written values ($1)", [n]);
      open += 1;
      if (open === MANY) goOn();
      await allAreOpen;
      if (n === 0) {
        const { expiresAt } = await leaseRow(database.sql, "shared");
        await lock.renew();
        expect((await leaseRow(database.sql, "shared")).expiresAt).toBeGreaterThan(expiresAt);
        expect(await other.withLock("another", () => "free")).toBe("free");
        await lock.release();
        expect(await other.tryAcquire("shared")).toBeNull();
      }
    }),
  );
  await Promise.all(transactions);

  expect(await database.sql`select count(*)::int as rows, count(distinct n)::int as all from written`).toEqual([
    { rows: MANY, all: MANY },
  ]);
  await other.withLock("shared", () => undefined);
  await pool.end();
});
