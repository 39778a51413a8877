import { sql } from "drizzle-orm";
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import { createLocker } from "leasehold";
import { activeLeases, fenceTable } from "leasehold/drizzle";
import postgres from "postgres";

const client = postgres(process.env.DATABASE_URL, { max: 1, onnotice: () => undefined });
const db = drizzle(client);
const accounts = pgTable("accounts", {
  id: integer("id").primaryKey(),
  fence: bigint("fence", { mode: "bigint" }).notNull(),
});
const locker = createLocker({ url: process.env.DATABASE_URL });
try {
  await locker.migrate();
  await db.execute(sql`create table accounts (id integer primary key, fence bigint not null default 0)`);
  await db.execute(fenceTable(accounts, accounts.fence));
  await locker.withLock("a", async (lock) => {
    const [lease] = await db.select().from(activeLeases);
    if (lease?.key !== "a") throw new Error(`the view shows ${JSON.stringify(lease?.key)}`);
    await lock.transaction(db, async (tx) => {
      await tx.insert(accounts).values({ id: 1, fence: lock.fence });
    });
  });
  const [row] = await db.select().from(accounts);
  if (typeof row?.fence !== "bigint" || row.fence <= 0n) throw new Error("no fence was written");
} finally {
  await locker.close();
  await client.end();
}
console.log("used");
