// The table behind the views: who may write what into it, and that it stays small.
import { expect, test } from "vitest";
import { type CounterColumn, counterColumns, prefixCounterColumns } from "../../src/store/counter-columns.js";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const ones = (columns: readonly CounterColumn[]) => Object.fromEntries(columns.map(({ column }) => [column, 1]));

/** What a client sends, with every count 1 but for what is given. */
function row(changes: Readonly<Record<string, unknown>> = {}): string {
  const histogram = [28, ...new Array(27).fill(0)];
  return JSON.stringify({
    ...ones(counterColumns),
    wait_ms: 28,
    waits: histogram,
    hold_ms: 2_800,
    holds: histogram,
    prefixes: [],
    hot_keys: [],
    ...changes,
  });
}

const prefix = (name: string | null, changes: Readonly<Record<string, unknown>> = {}) => ({
  prefix: name,
  ...ones(prefixCounterColumns),
  wait_ms: 1,
  ...changes,
});

const hotKey = (key: string, changes: Readonly<Record<string, unknown>> = {}) => ({
  key,
  ...{ contended: 1, contended_at_most: 1, acquired: 1, wait_ms: 1 },
  ...changes,
});

const uuid = () => crypto.randomUUID();
const nobody = "00000000-0000-0000-0000-000000000000";

test("a role that may lock may flush, and neither read nor write anything else of it", async () => {
  const database = await createDatabase();
  const role = await createRole(database, { grantUsage: true });
  await using locker = openLocker(role.url);
  await locker.withLock("a", () => undefined);
  await locker.close();
  expect(await database.sql`select acquired::int from leasehold.stats`).toEqual([{ acquired: 1 }]);

  const sql = await openClient(role.url);
  try {
    for (const attempt of [
      "select * from leasehold.counters",
      "update leasehold.counters set acquired = 0",
      "delete from leasehold.counters",
      "truncate leasehold.counters",
      "select leasehold_internal._purge_counters(1)",
      "select * from leasehold.stats",
      "select * from leasehold.stats_by_prefix",
      "select * from leasehold.hot_keys",
    ]) {
      await expect(sql.unsafe(attempt), attempt).rejects.toMatchObject({ code: "42501" });
    }
  } finally {
    await sql.end();
  }
});

test("a monitoring role reads the views, and not the table", async () => {
  const database = await createDatabase();
  const role = await createRole(database);
  await database.sql`select leasehold.grant_monitoring(${role.name})`;
  await database.sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${row({ prefixes: [prefix("a")], hot_keys: [hotKey("a:1")] })})`;
  const sql = await openClient(role.url);
  try {
    expect(await sql`select acquired::int, active_leases from leasehold.stats`).toEqual([
      { acquired: 1, active_leases: 0 },
    ]);
    expect(await sql`select prefix from leasehold.stats_by_prefix`).toEqual([{ prefix: "a" }]);
    expect(await sql`select key from leasehold.hot_keys`).toEqual([{ key: "a:1" }]);
    await expect(sql`select * from leasehold.counters`).rejects.toMatchObject({ code: "42501" });
    const flush = sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${row()})`;
    await expect(flush).rejects.toMatchObject({ code: "42501" });
  } finally {
    await sql.end();
  }
});

test("what is no count is refused, and changes nothing", async () => {
  const { sql } = await createDatabase();
  const flush = (text: string, id = uuid()) => sql`select leasehold_internal.flush_counters(${id}, 1, ${text})`;
  const tooLong = new Array(29).fill(0);
  for (const changes of [
    { acquired: -1 },
    { acquired: "-1" },
    { errors: 1_000_000_000_001 },
    { waits: tooLong },
    { holds: tooLong.slice(2) },
    { waits: [-1, ...tooLong.slice(2)] },
    { holds: ["-1", ...tooLong.slice(2)] },
    { waits: [null, ...tooLong.slice(2)] },
    { waits: [tooLong.slice(1)] },
    { wait_ms: -1 },
    { wait_ms: "NaN" },
    { hold_ms: "Infinity" },
    { padding: "x".repeat(1_048_576) },
  ]) {
    await expect(flush(row(changes)), JSON.stringify(changes).slice(0, 80)).rejects.toMatchObject({ code: "LH003" });
  }
  for (const changes of [{ acquired: 1.5 }, { acquired: null }, { acquired: 1e30 }, { waits: null }, { prefixes: 7 }]) {
    await expect(flush(row(changes)), JSON.stringify(changes)).rejects.toMatchObject({
      code: expect.stringMatching(/^2[23]/),
    });
  }
  await expect(flush("nonsense")).rejects.toMatchObject({ code: "22P02" });
  // The sum of the rows that are gone is nobody's to write.
  await expect(flush(row(), nobody)).rejects.toMatchObject({ code: "LH003" });
  expect(await sql`select * from leasehold.counters`).toEqual([]);
});

test("lists are cut to their size, and what is no count is left out of them", async () => {
  const { sql } = await createDatabase();
  const prefixes = [
    prefix("x".repeat(513)),
    prefix("negative", { acquired: "-5" }),
    prefix("no number", { wait_ms: "NaN" }),
    prefix("huge", { contended: 1_000_000_000_001 }),
    ...Array.from({ length: 200 }, (_, number) => prefix(`prefix ${number}`)),
  ];
  const hot = [
    hotKey(""),
    hotKey("x".repeat(513)),
    hotKey("negative", { contended: "-5" }),
    hotKey("crossed", { contended: 2 }),
    hotKey("no number", { wait_ms: "Infinity" }),
    ...Array.from({ length: 200 }, (_, number) => hotKey(`key ${number}`)),
  ];
  await sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${row({ prefixes, hot_keys: hot })})`;
  const found = await sql`select prefix from leasehold.stats_by_prefix`;
  expect(found).toHaveLength(101);
  expect(found.every((one) => one.prefix.startsWith("prefix "))).toBe(true);
  const keys = await sql`select key from leasehold.hot_keys`;
  expect(keys).toHaveLength(100);
  expect(keys.every((one) => one.key.startsWith("key "))).toBe(true);
});

test("rows that nobody writes any more are added up, and no sum changes by that", async () => {
  const { sql } = await createDatabase();
  const lists = (number: number) => ({
    acquired: number,
    wait_ms: number / 8,
    waits: Array.from({ length: 28 }, (_, place) => place * number),
    prefixes: [prefix("all", { acquired: number }), prefix(`own ${number}`), prefix(null)],
    hot_keys: [hotKey("hot", { contended: number, contended_at_most: number })],
  });
  for (let number = 1; number <= 20; number += 1) {
    await sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${row(lists(number))})`;
  }
  const sums = async () => ({
    stats: (await sql`select to_jsonb(s) - 'flushed_at' - 'since' as all from leasehold.stats s`)[0]?.all,
    prefixes: await sql`select * from leasehold.stats_by_prefix order by prefix`,
  });
  const before = await sums();
  expect(before.stats).toMatchObject({ acquired: 210, renewed: 20 });
  expect(await sql`select * from leasehold.hot_keys`).toMatchObject([{ key: "hot", contended: "210" }]);

  const rowsLeft: number[] = [];
  for (const age of ["5 hours 59 minutes", "2 minutes", "0"]) {
    // The first time they are too young; then all are old enough, and go in two parts.
    await sql.unsafe(
      `update leasehold.counters set flushed_at = flushed_at - interval '${age}' where id <> '${nobody}'`,
    );
    await sql`select leasehold_internal._purge_counters(12)`;
    expect(await sums()).toEqual(before);
    rowsLeft.push((await sql`select from leasehold.counters`).length);
  }
  expect(rowsLeft).toEqual([20, 9, 1]);
  // What is hot is so of late.
  expect(await sql`select * from leasehold.hot_keys`).toEqual([]);
  // Nothing is left to do.
  expect(await sql`select leasehold_internal._purge_counters(12) as purged`).toEqual([{ purged: 0 }]);
});

test("nobody can flush so much that the sweeper cannot add it up any more", async () => {
  const { sql } = await createDatabase();
  const flushOld = async () => {
    const most = 1_000_000_000_000;
    const text = row({ acquired: most, waits: new Array(28).fill(most), prefixes: [prefix("a", { acquired: most })] });
    await sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${text})`;
    await sql`update leasehold.counters set flushed_at = flushed_at - interval '1 day'`;
    await sql`select * from leasehold.sweep()`;
  };
  await flushOld();
  const nearly = 999_999_999_999_999_000n;
  await sql`update leasehold.counters set acquired = ${String(nearly)}, waits = array_fill(${String(nearly)}::bigint, array[28]),
    prefixes = jsonb_set(prefixes, '{0,acquired}', to_jsonb(${String(nearly)}::bigint))`;
  await flushOld();
  await flushOld();
  const full = "1000000000000000000";
  expect(
    await sql`select acquired, waits[1] as waits, prefixes -> 0 ->> 'acquired' as prefix from leasehold.counters`,
  ).toEqual([{ acquired: full, waits: full, prefix: full }]);
  expect(await sql`select acquired from leasehold.stats`).toEqual([{ acquired: full }]);
});

test("a sweep adds them up, and says so", async () => {
  const { sql } = await createDatabase();
  for (let number = 0; number < 3; number += 1) {
    await sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${row()})`;
  }
  await sql`update leasehold.counters set flushed_at = flushed_at - interval '1 day'`;
  expect(await sql`select counters_purged from leasehold.sweep()`).toEqual([{ counters_purged: 3 }]);
  expect(await sql`select acquired::int from leasehold.stats`).toEqual([{ acquired: 3 }]);
});

test("the sum keeps a thousand prefixes, those with the most contention, and all others as one", async () => {
  const { sql } = await createDatabase();
  for (let part = 0; part < 15; part += 1) {
    const prefixes = Array.from({ length: 100 }, (_, number) =>
      prefix(`p${part * 100 + number}`, { contended: part * 100 + number }),
    );
    await sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${row({ prefixes })})`;
  }
  await sql`update leasehold.counters set flushed_at = flushed_at - interval '1 day'`;
  await sql`select leasehold_internal._purge_counters(100)`;

  const found =
    await sql`select prefix, acquired::int, contended::int from leasehold.stats_by_prefix order by contended desc`;
  expect(found).toHaveLength(1_001);
  const sum = (499 * 500) / 2;
  expect(found[0]).toEqual({ prefix: null, acquired: 500, contended: sum });
  expect(found.slice(1).map(({ prefix }) => prefix)).toEqual(
    Array.from({ length: 1_000 }, (_, rank) => `p${1_499 - rank}`),
  );
});

test("a row that somebody keeps locked holds up no other flush, and no adding up", async () => {
  const database = await createDatabase();
  const { sql } = database;
  const locked = uuid();
  for (const id of [locked, uuid()]) await sql`select leasehold_internal.flush_counters(${id}, 1, ${row()})`;
  await sql`update leasehold.counters set flushed_at = flushed_at - interval '1 day'`;
  const beside = await openClient(database.url);
  try {
    await sql.begin(async (tx) => {
      await tx`select from leasehold.counters where id = ${locked} for update`;
      const again = beside`select leasehold_internal.flush_counters(${locked}, 2, ${row()})`;
      await expect(again).rejects.toMatchObject({ code: "55P03" });
      expect(await beside`select leasehold_internal._purge_counters(10) as purged`).toEqual([{ purged: 1 }]);
      await beside`select leasehold_internal.flush_counters(${uuid()}, 1, ${row()})`;
    });
    expect(await sql`select leasehold_internal._purge_counters(10) as purged`).toEqual([{ purged: 1 }]);
    expect(await sql`select acquired::int from leasehold.stats`).toEqual([{ acquired: 3 }]);
  } finally {
    await beside.end();
  }
});

test("flushing a row again and again does not move it: its page has room", async () => {
  const { sql } = await createDatabase();
  const id = uuid();
  for (let sequence = 1; sequence <= 300; sequence += 1) {
    await sql`select leasehold_internal.flush_counters(${id}, ${sequence}, ${row({ acquired: sequence, prefixes: [prefix("a")] })})`;
  }
  const stats = await until("the server has counted them", async () => {
    const [row] = await sql`select n_tup_upd::int as updates, n_tup_hot_upd::int as hot from pg_stat_user_tables
      where relid = 'leasehold.counters'::regclass`;
    return row?.updates > 250 && row;
  });
  // 0 if an index had a column that a flush changes; less than 1 where somebody's snapshot keeps old versions alive
  expect(stats.hot / stats.updates).toBeGreaterThan(0.5);
});

test("times that no process has measured do not stop the views", async () => {
  const { sql } = await createDatabase();
  const longest = 1e15;
  const forged = row({
    acquired: 1,
    ...{ wait_ms: longest, waits: [1, ...new Array(27).fill(0)] },
    ...{ hold_ms: longest, holds: [1, ...new Array(27).fill(0)] },
    prefixes: [prefix("a", { wait_ms: longest })],
    hot_keys: [hotKey("a:1", { wait_ms: longest })],
  });
  const empty = new Array(28).fill(0);
  const more = row({
    ...{ wait_ms: longest, waits: empty, hold_ms: longest, holds: empty },
    prefixes: [prefix("a", { acquired: 0, wait_ms: longest })],
    hot_keys: [hotKey("a:1", { acquired: 0, wait_ms: longest })],
  });
  const flush = (text: string) => sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${text})`;
  await flush(forged);
  for (let i = 0; i < 20; i += 1) await flush(more);
  expect(await sql`select wait_mean, hold_mean from leasehold.stats`).toHaveLength(1);
  expect(await sql`select wait_mean from leasehold.stats_by_prefix`).toHaveLength(1);
  expect(await sql`select wait_mean from leasehold.hot_keys`).toHaveLength(1);
});

test("a prefix without one of its counts is left out", async () => {
  const { sql } = await createDatabase();
  const partial = row({ prefixes: [{ prefix: "a", acquired: 1, wait_ms: 0 }, prefix("b")] });
  await sql`select leasehold_internal.flush_counters(${uuid()}, 1, ${partial})`;
  expect(await sql`select prefix, refused::int from leasehold.stats_by_prefix`).toEqual([{ prefix: "b", refused: 1 }]);
});
