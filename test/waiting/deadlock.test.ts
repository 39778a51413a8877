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

test("two who share a key and both want it alone: who gives up is told that there is no upgrade", async () => {
  await using first = openLocker(database, { owner: "first" });
  await using second = openLocker(database, { owner: "second" });
  const shares = [await first.acquire("up", { shared: true }), await second.acquire("up", { shared: true })];
  const patient = second.acquire("up", { waitMs: 120_000 });
  await until("it waits", async () => (await waiters()) === 1);
  const error = (await first.acquire("up", { waitMs: 300 }).catch((reason: unknown) => reason)) as WaitTimeoutError;
  for (const share of shares) await share.release();
  await (await patient).release();
  expect(error.deadlock).toHaveLength(2);
  expect(error.message).toContain("It is part of a deadlock: ");
  expect(error.message).toContain("a lock is never upgraded");
  expect(error.message).not.toContain("the same order");
});

test("a reader behind a writer is told of who waits ahead, for the holder that it names may be a reader like itself", async () => {
  await using reader = openLocker(database, { owner: "reader" });
  await using writer = openLocker(database);
  await using other = openLocker(database);
  const share = await reader.acquire("ahead", { shared: true });
  const writing = writer.acquire("ahead", { waitMs: 120_000 });
  await until("it waits", async () => (await waiters()) === 1);
  const error = (await other
    .acquire("ahead", { shared: true, waitMs: 300 })
    .catch((reason: unknown) => reason)) as Error;
  await share.release();
  const behind = await other.acquire("ahead", { shared: true, waitMs: 300 }).catch((reason: unknown) => reason);
  await (await writing).release();
  const alone = await writer.acquire("ahead");
  const own = await writer.acquire("ahead", { shared: true, waitMs: 100 }).catch((reason: unknown) => reason);
  await alone.release();
  expect(error.message).toMatch(
    /^Waited 300 ms for "ahead", held by "reader" .* A share also waits for everybody who is ahead/,
  );
  expect(String(behind)).toContain("A share also waits for everybody");
  expect(String(own)).toContain("This process itself holds the key");
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
