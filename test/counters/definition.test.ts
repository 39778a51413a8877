// Each counter of src/store/counts.ts gets from the client into the views under its own name. That it is in what is written by hand
// stands in test/unit/counters/definition.test.ts.
import { readFileSync } from "node:fs";
import type postgres from "postgres";
import { expect, test } from "vitest";
import { Tally } from "../../src/observe/counters/tally.js";
import { flushCounters } from "../../src/postgres/acts/flush-counters.js";
import type { Lane } from "../../src/postgres/connection/lane.js";
import { counterColumns, prefixCounterColumns } from "../../src/store/counter-columns.js";
import type { TallyStats } from "../../src/store/counts.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;
const docs = readFileSync(new URL("../../docs/reference/inspection.md", import.meta.url), "utf8");

test.each([
  ["counters", counterColumns],
  ["stats", counterColumns],
  ["stats_by_prefix", prefixCounterColumns],
])("the columns of leasehold.%s have the counters' texts for comments", async (relation, counters) => {
  const columns = await sql`
    select attname::text as name, col_description(attrelid, attnum) as comment from pg_attribute
     where attrelid = ${`leasehold.${relation}`}::regclass and attnum > 0`;
  const comments = Object.fromEntries(columns.map(({ name, comment }) => [name, comment]));
  expect(comments).toMatchObject(Object.fromEntries(counters.map(({ column, text }) => [column, text])));
});

/** A different number for each counter. */
function differentCounts(): TallyStats {
  const tally = new Tally();
  let next = 1;
  const fill = (counts: object) => {
    for (const name of Object.keys(counts)) Object.assign(counts, { [name]: next++ });
  };
  for (const counts of [tally.plain, tally.lost, tally.takenOver, tally.prefixes.of("a").counts]) fill(counts);
  return tally.snapshot();
}

const sum = (counts: object) => Object.values(counts).reduce((total: number, count: number) => total + count, 0);

/** Where docs/reference/inspection.md has one column for one name in stats(): `timed_out` by `timedOut`. */
function documentedColumns(): ReadonlyMap<string, string> {
  const pairs = [...docs.matchAll(/^\|[^|]*\| `(\w+)` \| `(\w+)` \|$/gm)];
  return new Map(pairs.map(([, name = "", column = ""]) => [column, name]));
}

test("what a client counts arrives in the column of its name, and stays there when the sweeper adds it up", async () => {
  const counts = differentCounts();
  const { lost, takenOver } = counts;
  const expected = {
    ...Object.fromEntries([...documentedColumns()].map(([column, name]) => [column, Reflect.get(counts, name)])),
    lost: sum(lost),
    lost_expired: lost.expired,
    lost_taken: lost.taken,
    lost_max_hold: lost["max-hold"],
    lost_forced: lost.forced,
    taken_over: sum(takenOver),
    taken_over_expired: takenOver.expired,
    taken_over_orphaned: takenOver.orphaned,
  };
  expect(Object.keys(expected)).toEqual(expect.arrayContaining(counterColumns.map(({ column }) => column)));
  const [prefix] = counts.prefixes;
  const expectedPrefix = {
    prefix: "a",
    acquired: prefix?.acquired,
    refused: prefix?.refused,
    timed_out: prefix?.timedOut,
    contended: prefix?.contended,
    taken_over: prefix?.takenOver,
  };
  const shown = async () => ({
    stats: (await sql`select to_jsonb(s) as row from leasehold.stats s`)[0]?.row,
    prefix: (await sql`select to_jsonb(s) as row from leasehold.stats_by_prefix s`)[0]?.row,
  });

  const id = crypto.randomUUID();
  await flushCounters(laneTo(sql), { id, sequence: 1, counts: new Tally().snapshot() });
  await flushCounters(laneTo(sql), { id, sequence: 2, counts });
  expect(await shown()).toMatchObject({ stats: expected, prefix: expectedPrefix });

  await sql`update leasehold.counters set flushed_at = flushed_at - interval '1 day'`;
  expect(await sql`select leasehold_internal._purge_counters(10) as purged`).toEqual([{ purged: 1 }]);
  expect(await shown()).toMatchObject({ stats: expected, prefix: expectedPrefix });
});

function laneTo(sql: postgres.Sql): Lane {
  const query = async (text: string, parameters: string[]) => sql.unsafe(text, parameters);
  return { query } as unknown as Lane;
}
