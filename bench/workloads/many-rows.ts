// The same cycles in a table of 1,000 keys and in one of a million.
import type postgres from "postgres";
import { openClient } from "../../test/support/client.js";
import { withCrews } from "../crew.js";
import type { Leasehold } from "../entrants.js";
import type { Row } from "../results.js";
import { inTurns, measureRates, type Scale, type Workload } from "./workload.js";

const FEW = 1_000;
const MANY = 1_000_000;
/** Rows of one statement of the floor. */
const AT_ONCE = 128;

export const manyRowsCase = (inFlight: number) => `${inFlight} in flight`;
export const manyRowsName = (build: string, isMany: boolean) => `${build}, ${isMany ? "10^6" : "10^3"} rows`;

export const manyRows: Workload = {
  name: "many-rows",
  about: "cycles on keys taken at random from 10^3 and from 10^6 that the table has",
  async run(entrants, { windowMs, rounds, coldRounds, isQuick }, report) {
    const [few, many] = [await entrants.databasesFor("few"), await entrants.databasesFor("many")];
    for (const build of few) await fill(build, FEW);
    for (const build of many) await fill(build, MANY);
    const all = few.flatMap((build, index) => [
      { ...build, name: manyRowsName(build.name, false) },
      { ...build, ...many[index], name: manyRowsName(build.name, true) },
    ]);
    await withCrews(all, 1, async (crews) => {
      for (const inFlight of isQuick ? [128] : [1, 16, 128]) {
        const keysOf = (name: string) => ({ kind: "random", count: name.includes("10^6") ? MANY : FEW }) as const;
        report(
          await measureRates(
            this.name,
            manyRowsCase(inFlight),
            crews,
            rounds,
            (crew) => crew.window(inFlight, windowMs, keysOf(crew.name)),
            coldRounds,
          ),
        );
      }
    });
    if (!isQuick) report(await measureFloor(await entrants.cluster.sql(), { windowMs, rounds, coldRounds }));
  },
};

/**
 * What a table of that size costs anyway: one statement that updates 128 rows taken at random, in tables with rows of the same width.
 * Nearly all of the difference are lines of memory that no cache of the processor has.
 */
async function measureFloor(sql: postgres.Sql, { windowMs, rounds, coldRounds }: Omit<Scale, "isQuick">) {
  const tables = [
    { name: "a bare update, 10^3 rows", table: "bench.few_rows", rows: FEW },
    { name: "a bare update, 10^6 rows", table: "bench.many_rows", rows: MANY },
  ];
  for (const { table, rows } of tables) {
    await sql.unsafe(`
      create table ${table} (key text primary key, n bigint not null, pad text not null) with (fillfactor = 45);
      insert into ${table} select 'row:' || i, 0, repeat('x', 130) from generate_series(0, ${rows} - 1) i`);
    await makeReady(sql, table, "n");
  }
  const results = await inTurns(
    tables,
    rounds,
    async ({ table, rows }) => {
      const start = performance.now();
      let updated = 0;
      while (performance.now() - start < windowMs) {
        const keys = Array.from({ length: AT_ONCE }, () => `row:${Math.floor(Math.random() * rows)}`);
        updated += (await sql.unsafe(`update ${table} set n = n + 1 where key = any ($1::text::text[])`, [`{${keys}}`]))
          .count;
      }
      return (updated * 1_000) / (performance.now() - start);
    },
    coldRounds,
  );
  return tables.map(({ name }, index): Row => {
    const samples = results[index] ?? [];
    return {
      workload: "many-rows",
      case: `${AT_ONCE} at once`,
      contender: name,
      unit: "rows/s",
      isMoreBetter: true,
      samples,
    };
  });
}

/** Copies of the row of one lock that was released: whatever columns a build has. */
async function fill(build: Leasehold, rows: number): Promise<void> {
  await withCrews([build], 1, async ([crew]) => {
    await crew?.workers[0]?.request("hold", { prefix: "first", count: 1 });
    await crew?.workers[0]?.request("release");
  });
  const sql = await openClient(build.spec.url);
  try {
    await copyRow(sql, rows);
    await makeReady(sql, "leasehold.leases", "acquisitions");
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** `column`: any that no index has. */
async function makeReady(sql: postgres.Sql, table: string, column: string): Promise<void> {
  await sql.unsafe("checkpoint");
  // The first change of a page after a checkpoint writes all of it to the log. A busy table has that behind it soon.
  await sql.unsafe(`update ${table} set ${column} = ${column}`);
  // Not for the plans alone: else the first to read each row writes it, too.
  await sql.unsafe(`vacuum analyze ${table}`);
}

async function copyRow(sql: postgres.Sql, rows: number): Promise<void> {
  const columns = await sql`
    select quote_ident(attname) as name from pg_attribute
     where attrelid = 'leasehold.leases'::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attname <> 'key'`;
  const names = columns.map(({ name }) => name).join(", ");
  await sql.unsafe(`
    insert into leasehold.leases (key, ${names})
    select 'row:' || i, ${names} from leasehold.leases l, generate_series(0, ${rows} - 1) i where l.key = 'first:0'`);
}
