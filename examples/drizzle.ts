// A Drizzle application: three servers read a balance, compute, and write it back, each in a transaction that Postgres takes from the holder
// of the lock alone. The table keeps the newest fence, so that a write with an old one is refused whoever makes it.
//
//   DATABASE_URL=postgres://localhost/app npx tsx examples/drizzle.ts
import { setTimeout as sleep } from "node:timers/promises";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
import { createLocker, type Locker } from "leasehold";
import { fenceTable } from "leasehold/drizzle";
import pg from "pg";

const accounts = pgTable("example_accounts", {
  id: integer().primaryKey(),
  balance: integer().notNull(),
  fence: bigint({ mode: "bigint" }).notNull().default(0n),
});
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const db = drizzle(pool);
const deposits = 10; // of each server, 1 each

/** Read, compute, write: nothing but the lock keeps two of these apart. */
async function deposit(locker: Locker): Promise<void> {
  await locker.withLock("example:account:1", async (lock) => {
    const [account] = await db.select().from(accounts).where(eq(accounts.id, 1));
    await sleep(5); // whatever takes its time
    const change = { balance: (account?.balance ?? 0) + 1, fence: lock.fence };
    await lock.transaction(db, (tx) => tx.update(accounts).set(change).where(eq(accounts.id, 1)));
  });
}

/** One server of several; here they are in one process, and know nothing of each other. */
async function server(number: number): Promise<void> {
  const locker = createLocker({ owner: `server ${number}` });
  for (let count = 0; count < deposits; count += 1) await deposit(locker);
  console.log(`server ${number} has made its ${deposits} deposits`);
  await locker.close();
}

async function main(): Promise<boolean> {
  const servers = await Promise.allSettled([server(1), server(2), server(3)]);
  for (const { reason } of servers.filter((result) => result.status === "rejected")) console.log(`failed: ${reason}`);
  const [account] = await db.select().from(accounts);
  console.log(`the balance is ${account?.balance} after ${3 * deposits} deposits of 1`);

  // Somebody who held the lock long ago writes without asking anybody.
  const stale = db
    .update(accounts)
    .set({ balance: 0, fence: (account?.fence ?? 0n) - 1n })
    .where(eq(accounts.id, 1));
  const refusal = await stale.then(
    () => null,
    (error: Error) => error.cause,
  );
  console.log(refusal instanceof Error ? `a stale write is refused: ${refusal.message}` : "a stale write was taken");
  return account?.balance === 3 * deposits && refusal !== null;
}

const locker = createLocker();
await locker.migrate();
await locker.close();
await db.execute(sql`drop table if exists example_accounts`);
await db.execute(
  sql`create table example_accounts (id integer primary key, balance integer not null, fence bigint not null default 0)`,
);
await db.execute(fenceTable(accounts, accounts.fence));
await db.insert(accounts).values({ id: 1, balance: 0 });
const isGood = await main();
await db.execute(sql`drop table example_accounts`);
await pool.end();
console.log(isGood ? "ok: no deposit was lost" : "FAILED: a deposit was lost");
process.exitCode = isGood ? 0 : 1;
