// A batch reads the rows of its own keys, however many other leases there are, and whatever the statistics say of them.
import type postgres from "postgres";
import { expect, test } from "vitest";
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

const array = (values: readonly unknown[]) => `'{${values.join(",")}}'`;
const each = (value: unknown) => array(Array.from({ length: KEYS }, () => value));
const keys = array(Array.from({ length: KEYS }, (_, n) => `own-${n}`));
const tokens = array(Array.from({ length: KEYS }, () => crypto.randomUUID()));

type Step = readonly [name: string, outcome: string, statement: (fences: string) => string];
const acquire =
  () => `select * from leasehold_internal.acquire(null, null, null, false, ${keys}, ${tokens}, ${each("asker")},
  ${each(60_000)}, ${each(0)}, ${each("null")}, ${each("null")}, ${each("infinity")}, ${each(true)}, ${each("null")}) order by item`;
const steps: readonly Step[] = [
  ["an acquire of new keys", "granted", acquire],
  ["an acquire that is asked again", "granted", acquire],
  [
    "a renewal",
    "renewed",
    (fences) =>
      `select * from leasehold_internal.renew(null, null, null, ${keys}, ${tokens}, ${fences}, ${each(60_000)})`,
  ],
  [
    "a release",
    "released",
    (fences) => `select * from leasehold_internal.release(true, ${keys}, ${tokens}, ${fences})`,
  ],
  ["an acquire of free keys", "granted", acquire],
  [
    "an abandon",
    "released",
    () => `select * from leasehold_internal.abandon(true, ${keys}, ${tokens}, ${each(true)}, ${each(false)})`,
  ],
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
    let fences = "";
    for (const [name, outcome, statement] of steps) {
      await database.sql.begin(async (sql) => {
        const before = await read(sql);
        const rows = await sql.unsafe(statement(fences));
        reads[name] = (await read(sql)) - before;
        expect(rows.map((row) => row.outcome)).toEqual(Array.from({ length: KEYS }, () => outcome));
        if (outcome === "granted") fences = array(rows.map(({ fence }) => fence));
      });
    }

    const dear = Object.entries(reads).filter(([, count]) => count > KEYS * READS_PER_KEY);
    expect(Object.fromEntries(dear)).toEqual({});
  },
);

test("places in a line that was counted while it was empty are found one by one", async () => {
  await using database = await createDatabase();
  const queue = `insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    select 'line', -i, gen_random_uuid(), 'other', now(), now() + interval '1 hour' from generate_series(1, ${OTHERS}) i`;
  for (const statement of [
    `insert into leasehold.leases (key, token, fence, ttl_ms, acquired_at, expires_at, queued)
       values ('line', gen_random_uuid(), 1, 3600000, now(), now() + interval '1 hour', true)`,
    queue,
    "delete from leasehold.waiters",
    "vacuum analyze leasehold.waiters",
    queue,
  ]) {
    await database.sql.unsafe(statement);
  }
  const join = acquire().replace(keys, each("line"));
  const stay = `select * from leasehold_internal.stay(null, null, 'infinity', ${each("line")}, ${tokens})`;
  const reads: number[] = [];
  for (const statement of [join, join, stay, stay]) {
    await database.sql.begin(async (sql) => {
      await sql`update leasehold.waiters set alive_until = now() + interval '1 second' where owner = 'asker'`;
      const before = await read(sql, "waiters");
      const rows = await sql.unsafe(statement);
      reads.push((await read(sql, "waiters")) - before);
      expect(rows.filter(({ outcome }) => outcome !== "queued")).toEqual([]);
    });
  }

  expect(reads.filter((count) => count > KEYS * READS_PER_KEY)).toEqual([]);
});
