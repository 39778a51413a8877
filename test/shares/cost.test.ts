// What shares cost the server: they read the rows of their own key, by its index, and those that come together share a statement.
import type postgres from "postgres";
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const others = `insert into leasehold.shares (key, token, fence, weight, owner, ttl_ms, min_hold_ms, acquired_at, renewed_at, expires_at)
  select 'other ' || i / 100, gen_random_uuid(), i, 1, 'other', 60000, 0, now(), now(), now() + interval '1 hour' from generate_series(1, 100000) i`;
const statistics: Readonly<Record<string, readonly string[]>> = {
  known: [others, "vacuum analyze leasehold.shares"],
  unknown: [others],
  "of an empty table": [others, "truncate leasehold.shares", "vacuum analyze leasehold.shares", others],
};

async function read(sql: postgres.TransactionSql): Promise<{ readonly rows: number; readonly scans: number }> {
  const [row] = await sql`
    select sum(seq_tup_read + idx_tup_fetch)::int as rows, sum(seq_scan)::int as scans
      from pg_stat_xact_user_tables where relid in ('leasehold.shares'::regclass, 'leasehold.leases'::regclass)`;
  return { rows: row?.rows, scans: row?.scans };
}

test.for(Object.entries(statistics))(
  "beside 100,000 shares of other keys, with statistics that are %s, a share costs what it costs alone",
  async ([, prepare]) => {
    await using database = await createDatabase();
    for (const statement of prepare) await database.sql.unsafe(statement);
    const dear: unknown[] = [];
    const tokens = `array['${[1, 2, 3].map(() => crypto.randomUUID()).join("','")}']::uuid[]`;
    const keys = "array['own', 'own', 'own']";

    for (const turn of [1, 2]) {
      await database.sql.begin(async (sql) => {
        const step = async (what: string, text: string) => {
          const before = await read(sql);
          const [row] = await sql.unsafe(text);
          const after = await read(sql);
          const cost = { rows: after.rows - before.rows, scans: after.scans - before.scans };
          if (cost.rows > 60 || cost.scans > 0) dear.push([turn, what, cost]);
          return row;
        };
        const granted = await step(
          "acquire",
          `select fences, others from leasehold_internal.acquire_shares(
            null, null, null, 'me', 60000, 0, null, null, true, '{infinity}', ${keys}, ${tokens}, null, 1, 5, null, null)`,
        );
        expect(granted?.others).toBeNull();
        const again = await step(
          "the same tokens again",
          `select others from leasehold_internal.acquire_shares(
            null, null, null, 'me', 60000, 0, null, null, true, '{infinity}', ${keys}, ${tokens}, null, 1, 5, null, null)`,
        );
        expect(again?.others).toBeNull();
        const fences = `array[${granted?.fences}]::bigint[]`;
        const held = await step(
          "a try of what is held",
          `select outcome from leasehold_internal.acquire_one(
            null, null, null, false, 'own', gen_random_uuid(), 'me', 60000, 0, null, null, 'infinity', false, null, null, null)`,
        );
        expect(held?.outcome).toBe("held");
        await step(
          "renew",
          `select others from leasehold_internal.renew(null, null, null, 90000, ${keys}, ${tokens}, ${fences}, null)`,
        );
        await step("guard", `select leasehold.guard('own', (${fences})[1])`);
        await step("notify", "select leasehold_internal.notify_next(null, array['own'])");
        await step("next", "select leasehold_internal._next_look(l, true) from leasehold.leases l where l.key = 'own'");
        await step(
          "release",
          `select others from leasehold_internal.release_shares(false, ${keys}, ${tokens}, ${fences})`,
        );
      });
    }
    await database.sql`truncate leasehold.shares`;

    expect(dear).toEqual([]);
  },
);

test("128 readers of one key that come together are one statement, and so are their releases", async () => {
  await using database = await createDatabase();
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { presence: "off" });
  await locker.withLock("hot", () => {}, { shared: true });
  proxy.statements.length = 0;

  const locks = await Promise.all(Array.from({ length: 128 }, () => locker.acquire("hot", { shared: true })));
  const acquired = proxy.statements.length;
  await Promise.all(locks.map((lock) => lock.release()));

  expect(new Set(locks.map(({ fence }) => fence)).size).toBe(128);
  expect([acquired, proxy.statements.length - acquired]).toEqual([1, 1]);
});
