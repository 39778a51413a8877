// `lead` in the queue of its key, beside everybody else: what it sends, what it leaves there, and who takes the key from it.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const waiters = async (key: string): Promise<number> =>
  (await sql`select from leasehold.waiters where key = ${key}`).length;

/** A body that notes its terms, and ends when it is told to. */
function noting(terms: Lock[]): (lock: Lock, signal: AbortSignal) => Promise<string> {
  return async (lock, signal) => {
    terms.push(lock);
    if (!signal.aborted) await once(signal, "abort");
    return "ended by its signal";
  };
}

test("a signal that is aborted already: nothing is connected, and nothing sent", async () => {
  await using locker = openLocker(database);
  const terms: Lock[] = [];
  const value = await locker.lead("a", noting(terms), { signal: AbortSignal.abort() });
  expect([value, terms]).toEqual([undefined, []]);
  const ours =
    await sql`select from pg_stat_activity where datname = current_database() and application_name like 'leasehold%'`;
  expect(ours).toHaveLength(0);
});

test("a signal in the queue: lead resolves to undefined at once, and no row is left there", async () => {
  await using locker = openLocker(database);
  await using holder = openLocker(database);
  const lock = await holder.acquire("a");
  const stop = new AbortController();
  const terms: Lock[] = [];
  const lead = locker.lead("a", noting(terms), { signal: stop.signal });
  await until("it waits", async () => (await waiters("a")) === 1);
  stop.abort();
  expect(await lead).toBeUndefined();
  await until("its row is gone", async () => (await waiters("a")) === 0);
  await lock.release();
  expect(terms).toEqual([]);
  expect((await leaseRow(sql, "a")).token).toBeNull();
});

test("a signal while it leads: the body ends, the key is free before lead resolves", async () => {
  await using locker = openLocker(database);
  const stop = new AbortController();
  const terms: Lock[] = [];
  const lead = locker.lead("a", noting(terms), { signal: stop.signal, metadata: { url: "http://10.0.0.7" } });
  await until("it leads", () => terms.length === 1);
  const info = await locker.check("a");
  stop.abort();
  expect(await lead).toBeUndefined();
  expect((await leaseRow(sql, "a")).token).toBeNull();
  expect(info).toMatchObject({ state: "held", metadata: { url: "http://10.0.0.7" }, fence: terms[0]?.fence });
});

test("those in line lead in the order in which they came, beside acquires", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const order: string[] = [];
  const first = await locker.acquire("line");
  const all: Promise<unknown>[] = [];
  for (const [index, name] of ["lead 1", "acquire 2", "lead 3", "acquire 4"].entries()) {
    const from = index < 2 ? other : locker;
    const body = () => void order.push(name);
    all.push(name.startsWith("lead") ? from.lead("line", body) : from.withLock("line", body));
    await until("it is in line", async () => (await waiters("line")) === index + 1);
  }
  await first.release();
  await Promise.all(all);
  expect(order).toEqual(["lead 1", "acquire 2", "lead 3", "acquire 4"]);
});

test.each([true, false])(
  "forceRelease ends the term alone; lead campaigns again (immediate: %s)",
  async (immediate) => {
    await using locker = openLocker(database, { ttlMs: 3_000 });
    await using operator = openLocker(database);
    const key = `forced-${immediate}`;
    const stop = new AbortController();
    const terms: Lock[] = [];
    const lead = locker.lead(key, noting(terms), { signal: stop.signal });
    await until("it leads", () => terms.length === 1);
    await operator.forceRelease(key, { immediate });
    await until("it leads again", () => terms.length === 2);
    const [first, second] = terms;
    const reason = first?.signal.reason;
    stop.abort();
    expect(await lead).toBeUndefined();
    expect(reason).toMatchObject({ reason: "forced" });
    expect(second?.fence).toBeGreaterThan(first?.fence ?? 0n);
  },
);

test("close: a body is told, and waited for by lead, which then rejects; one in line is rejected", async () => {
  const locker = openLocker(database);
  const terms: Lock[] = [];
  const leading = locker.lead("closed", noting(terms));
  const waiting = locker.lead("closed", noting(terms));
  const outcomes = Promise.allSettled([leading, waiting]);
  await until("one waits", async () => (await waiters("closed")) === 1);
  await locker.close({ drainMs: 10_000 });
  const [first, second] = await outcomes;
  expect(first).toMatchObject({ status: "rejected", reason: { name: "ClosedError" } });
  expect(second).toMatchObject({ status: "rejected", reason: { name: "ClosedError" } });
  expect(terms).toHaveLength(1);
  expect([(await leaseRow(sql, "closed")).token, await waiters("closed")]).toEqual([null, 0]);
});

test("without a schema, or without a right to it, lead rejects with the line to run", async () => {
  await using empty = await createEmptyDatabase();
  await using locker = openLocker(empty);
  await expect(locker.lead("a", () => 1)).rejects.toMatchObject({ name: "NotMigratedError" });
  const wrong = new URL(database.url);
  wrong.password = "wrong";
  await using refused = openLocker(wrong.href);
  await expect(refused.lead("a", () => 1)).rejects.toMatchObject({
    name: "UnavailableError",
    cause: { code: "28P01" },
  });
});

test("each campaign is an acquire, and each term ends with a release or a loss: to hooks and counters", async () => {
  await using locker = openLocker(database, { ttlMs: 3_000 });
  const seen: string[] = [];
  const note = (message: unknown, channel: string | symbol): void => {
    const { key, outcome = "" } = message as { readonly key: string; readonly outcome?: string };
    if (key === "hooks") seen.push(`${String(channel)} ${outcome}`.trim());
  };
  const channels = ["leasehold:acquire", "leasehold:release", "leasehold:lost", "tracing:leasehold:with-lock:start"];
  for (const name of channels) subscribe(name, note);
  const terms: Lock[] = [];
  const stop = new AbortController();
  const lead = locker.lead("hooks", noting(terms), { signal: stop.signal });
  await until("it leads", () => terms.length === 1);
  await locker.forceRelease("hooks");
  await until("it leads again", () => terms.length === 2);
  stop.abort();
  await lead;
  for (const name of channels) unsubscribe(name, note);
  expect(seen).toEqual([
    "leasehold:acquire granted",
    "leasehold:lost",
    "leasehold:acquire granted",
    "leasehold:release",
  ]);
  const { acquired, released, lost } = locker.stats();
  expect([acquired, released, lost.forced]).toEqual([2, 1, 1]);
});
