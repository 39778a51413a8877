// The alert rules of docs/guides/operations.md, run by the role that the page makes: silent while all is well, and each tells of its fault.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { blocks, pages, prepareProgram } from "./pages.js";

const page = "docs/guides/operations.md";
const database = await createDatabase();
const role = await createRole(database);
const monitoring = await openClient(role.url);
const rules = new Map(
  blocks("sql", page).flatMap(({ text }) => {
    const [, name] = /^-- (?:alert: )?(.+)\n/.exec(text) ?? [];
    return name === undefined ? [] : [[name, text] as const];
  }),
);

beforeAll(async () => {
  const [first] = blocks("sql", page);
  const [, ...statements] = (first?.text ?? "").split(";\n");
  expect(first?.text).toMatch(/^create role monitoring;\nselect .*'monitoring'\);\n$/);
  for (const text of statements) await database.sql.unsafe(text.replaceAll("monitoring'", `${role.name}'`));
});

afterAll(() => monitoring.end());

/** What a rule finds, with another threshold if one is given. */
async function find(name: string, threshold?: string): Promise<readonly Record<string, unknown>[]> {
  const text = rules.get(name);
  if (text === undefined) throw new Error(`${page} has no rule ${name}; it has ${[...rules.keys()].join(", ")}`);
  return await monitoring.unsafe(
    threshold === undefined ? text : text.replaceAll(/interval '[^']*'/g, `interval '${threshold}'`),
  );
}

const soon = "0 seconds";
const alerts = [...rules.keys()].filter((name) => name !== "metrics");

test("all are silent while a lock is held and somebody waits for it", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database, { owner: "other" });
  const lock = await locker.acquire("order:1");
  const waiting = other.acquire("order:1");
  await until("it waits", async () => (await find("slow queue", soon)).length > 0);

  expect(alerts).toHaveLength(5);
  for (const name of alerts) expect(await find(name), name).toEqual([]);

  await lock.release();
  await (await waiting).release();
});

test("a slow queue, and a lock that is held for too long", async () => {
  await using locker = openLocker(database, { owner: "holder" });
  await using other = openLocker(database, { owner: "waiter" });
  const lock = await locker.acquire("order:1");
  const leader = await locker.acquire("leader:1");
  const waiting = other.acquire("order:1");
  await until("it waits", async () => (await find("slow queue", soon)).length > 0);

  expect(await find("slow queue", soon)).toMatchObject([{ key: "order:1", owner: "waiter", blocked_by: "holder" }]);
  expect(await find("held for too long", soon)).toMatchObject([{ key: "order:1", owner: "holder" }]);

  await lock.release();
  await leader.release();
  await (await waiting).release();
});

test("an open transaction that keeps a key", async () => {
  await using locker = openLocker(database);
  const stranger = await openClient(database.url);
  const lock = await locker.acquire("order:1");
  const [backend] = await stranger`select pg_backend_pid() as pid`;
  await stranger.unsafe("begin");
  await stranger`select leasehold.guard(${lock.key}, ${String(lock.fence)})`;
  await lock.release();
  const waiting = locker.acquire("order:1");

  const found = await until("it is told", async () => {
    const rows = await find("blocked by a transaction", soon);
    return rows.length > 0 ? rows : null;
  });
  expect(found).toMatchObject([{ key: "order:1", blocking_pid: backend?.pid, blocking_transaction: null }]);

  await stranger.unsafe("rollback");
  await (await waiting).release();
  await stranger.end();
});

test("a deadlock", async () => {
  await using first = openLocker(database, { owner: "first" });
  await using second = openLocker(database, { owner: "second" });
  const locks = [await first.acquire("a"), await second.acquire("b")];
  const cancel = new AbortController();
  const waits = [first.acquire("b", { signal: cancel.signal }), second.acquire("a", { signal: cancel.signal })];
  const settled = Promise.allSettled(waits);

  const found = await until("it is told", async () => {
    const rows = await find("deadlock", soon);
    return rows.length > 0 ? rows : null;
  });
  expect(found).toHaveLength(1);
  expect(found[0]?.path).toMatch(/first waits for b, held by second/);

  cancel.abort();
  await settled;
  for (const lock of locks) await lock.release();
});

test("a process that is frozen", async () => {
  expectLeft(database, "leases", "sessions");
  const start = await prepareProgram("leader.ts");
  await using program = start(database.url);
  await program.wrote(/^leads/m);
  // A process that lives sends a heartbeat every second.
  expect(await find("frozen process", "10 seconds")).toEqual([]);
  program.kill("SIGSTOP");

  const found = await until("it is told", async () => {
    const rows = await find("frozen process", "4 seconds");
    return rows.length > 0 ? rows : null;
  });
  expect(found).toMatchObject([{ leases: 1 }]);
});

test("the metrics are one row of numbers", async () => {
  await using locker = openLocker(database, { statsFlushMs: 100 });
  await locker.withLock("order:1", () => undefined);
  await locker.close();
  const [row, ...rest] = await find("metrics");
  expect(rest).toEqual([]);
  expect(Number(row?.acquired)).toBeGreaterThan(0);
  expect(Object.values(row ?? {}).every((value) => Number.isFinite(Number(value)))).toBe(true);
  // Each counter that the table explains is one of them.
  const { text } = pages.find(({ path }) => path === page) ?? { text: "" };
  const [, table = ""] = text.split("| increase of |");
  const explained = [
    ...table
      .split("\n\n", 1)
      .join("")
      .matchAll(/^\| `(\w+)`/gm),
  ].map(([, name]) => name);
  expect(explained.length).toBeGreaterThan(4);
  expect(Object.keys(row ?? {})).toEqual(expect.arrayContaining(explained));
});
