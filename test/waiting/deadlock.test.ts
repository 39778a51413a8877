// A wait that ends by its timeout, and was part of a deadlock, says so: who waits for what.
import { expect, test } from "vitest";
import { WaitTimeoutError } from "../../src/index.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const waiters = async () => (await database.sql`select from leasehold.waiters`).length;

test("two processes that lock two keys in opposite orders: the one that gives up is told, as a role that may only lock", async () => {
  const { url } = await createRole(database, { grantUsage: true });
  await using first = openLocker(url, { owner: "first" });
  await using second = openLocker(url, { owner: "second" });
  const [a, b] = [await first.acquire("a"), await second.acquire("b")];
  const patient = second.acquire("a", { waitMs: 120_000 });
  await until("it waits", async () => (await waiters()) === 1);

  const error = await first.acquire("b", { waitMs: 300 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WaitTimeoutError);
  expect([...((error as WaitTimeoutError).deadlock ?? [])].sort()).toEqual([
    'first waits for "b", held by second',
    'second waits for "a", held by first',
  ]);
  expect((error as Error).message).toContain("It is part of a deadlock: ");
  expect((error as Error).message).toContain("Acquire several keys in the same order everywhere.");
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    code: "wait-timeout",
    deadlock: [expect.any(String), expect.any(String)],
  });

  await a.release();
  await (await patient).release();
  await b.release();
});

test("a wait behind somebody who waits for nobody is in none, whatever it holds", async () => {
  await using first = openLocker(database, { owner: "first" });
  await using second = openLocker(database, { owner: "second" });
  await using _ = await first.acquire("a");
  await using __ = await second.acquire("b");
  const error = await first.acquire("b", { waitMs: 50 }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "wait-timeout", deadlock: null, holder: { owner: "second" } });
  expect((error as Error).message).not.toContain("deadlock");
});

test("without presence it is not known who is both: a timeout as ever", async () => {
  await using first = openLocker(database, { presence: "off" });
  await using second = openLocker(database, { presence: "off" });
  const [a, b] = [await first.acquire("a"), await second.acquire("b")];
  const patient = second.acquire("a", { waitMs: 120_000 });
  await until("it waits", async () => (await waiters()) === 1);
  const error = await first.acquire("b", { waitMs: 300 }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "wait-timeout", deadlock: null });
  await a.release();
  await (await patient).release();
  await b.release();
});
