// A batch reads the rows of its own keys, however many other leases there are, and whatever the statistics say of them.
import type postgres from "postgres";
import { expect, test } from "vitest";
import {
  abandonRows,
  acquireRows,
  firstAttemptRows,
  keepEntriesRows,
  releaseRows,
  renewRows,
} from "../support/acts.js";
import { createDatabase } from "../support/database.js";

const OTHERS = 5_000;
const KEYS = 100;
/** Versions of its row among them. */
const READS_PER_KEY = 20;

const fill = `insert into leasehold.leases (key, fence, ttl_ms, released_at)
  select 'other ' || i, 1, 0, clock_timestamp() from generate_series(1, ${OTHERS}) i`;
const statistics: Readonly<Record<string, readonly string[]>> = {
  known: [fill, "vacuum analyze leasehold.leases"],
  unknown: [fill],
  // pages without a row: all others are taken for such ones
  "of an empty table": [fill, "delete from leasehold.leases", "vacuum analyze leasehold.leases", fill],
};

const items = Array.from({ length: KEYS }, (_, n) => ({ key: `own-${n}`, token: crypto.randomUUID() }));
const held = (fences: readonly string[]) => items.map((item, n) => ({ ...item, fence: fences[n] }));

type Step = readonly [name: string, outcome: string, rows: (fences: readonly string[]) => string];
const acquire = () => acquireRows(items, { takeoverMs: null });
const release = (fences: readonly string[]) => releaseRows(held(fences), { isRelaxed: true });
const steps: readonly Step[] = [
  ["an acquire of new keys", "granted", acquire],
  ["an acquire that is asked again", "granted", acquire],
  ["a renewal", "renewed", (fences) => renewRows(held(fences))],
  ["a release", "released", release],
  ["an acquire of free keys", "granted", acquire],
  ["an abandon", "released", () => abandonRows(items, { isRelaxed: true })],
  ["first attempts for free keys", "granted", () => firstAttemptRows(items)],
  ["another release", "released", release],
];

async function read(sql: postgres.TransactionSql, table = "leases"): Promise<number> {
  const [row] = await sql`
    select seq_tup_read + idx_tup_fetch as read from pg_stat_xact_user_tables where relid = ${`leasehold.${table}`}::regclass`;
  return Number(row?.read);
}

test.for(Object.entries(statistics))(
  "batches beside other leases, with statistics that are %s",
  async ([, prepare]) => {
    await using database = await createDatabase();
    for (const statement of prepare) await database.sql.unsafe(statement);
    const reads: Record<string, number> = {};
    let fences: string[] = [];
    for (const [name, outcome, rowsOf] of steps) {
      await database.sql.begin(async (sql) => {
        const before = await read(sql);
        const rows = await sql.unsafe(`select * from ${rowsOf(fences)} a order by item`);
        reads[name] = (await read(sql)) - before;
        expect(rows.map((row) => row.outcome)).toEqual(Array.from({ length: KEYS }, () => outcome));
        if (outcome === "granted") fences = rows.map(({ fence }) => fence);
      });
    }

    const dear = Object.entries(reads).filter(([, count]) => count > KEYS * READS_PER_KEY);
    expect(Object.fromEntries(dear)).toEqual({});
  },
);

test("entries of a queue that was analysed while it was empty are found one by one", async () => {
  await using database = await createDatabase();
  const queue = `insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    select 'queue', -i, gen_random_uuid(), 'other', now(), now() + interval '1 hour' from generate_series(1, ${OTHERS}) i`;
  for (const statement of [
    `insert into leasehold.leases (key, token, fence, ttl_ms, acquired_at, expires_at, queued)
       values ('queue', gen_random_uuid(), 1, 3600000, now(), now() + interval '1 hour', true)`,
    queue,
    "delete from leasehold.waiters",
    "vacuum analyze leasehold.waiters",
    queue,
  ]) {
    await database.sql.unsafe(statement);
  }
  const inQueue = items.map(({ token }) => ({ key: "queue", token, waits: true }));
  const [join, keep] = [acquireRows(inQueue), keepEntriesRows(inQueue)];
  const reads: number[] = [];
  for (const act of [join, join, keep, keep]) {
    await database.sql.begin(async (sql) => {
      await sql`update leasehold.waiters set alive_until = now() + interval '1 second' where owner = 'asker'`;
      const before = await read(sql, "waiters");
      const rows = await sql.unsafe(`select * from ${act}`);
      reads.push((await read(sql, "waiters")) - before);
      expect(rows.filter(({ outcome }) => outcome !== "queued")).toEqual([]);
    });
  }

  expect(reads.filter((count) => count > KEYS * READS_PER_KEY)).toEqual([]);
});
