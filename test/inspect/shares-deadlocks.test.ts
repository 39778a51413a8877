// Deadlocks among shares, sets of keys and exclusive locks: real ones are told, and what only looks like one is not.
import { expect, onTestFinished, test } from "vitest";
import { type AcquireOptions, type Lock, type Locker, WaitTimeoutError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const shared = { shared: true } as const;

/** Lockers by their names, with what they wait for. All is over when the test is. */
function open<Name extends string>(...names: Name[]) {
  const lockers = new Map(names.map((owner) => [owner as string, openLocker(database, { owner, waitMs: 60_000 })]));
  const end = new AbortController();
  const waits: Promise<unknown>[] = [];
  onTestFinished(async () => {
    end.abort();
    await Promise.allSettled(waits);
    for (const locker of lockers.values()) await locker.close();
  });
  const of = (name: Name) => lockers.get(name) as Locker;
  return {
    of,
    hold: (name: Name, key: string, options?: AcquireOptions): Promise<Lock> => of(name).acquire(key, options),
    /** Until it stands in the queue: those who wait do so in the order of the calls. */
    wait: async (name: Name, key: string, options: AcquireOptions = {}): Promise<void> => {
      waits.push(
        of(name)
          .acquire(key, { signal: end.signal, ...options })
          .catch(() => undefined),
      );
      const stands = () => sql`select from leasehold.waiting where owner = ${name} and key = ${key}`;
      await until(`${name} waits`, async () => (await stands()).length > 0);
    },
  };
}

/** Who waits for what, each cycle as a set. */
async function deadlocks(): Promise<string[][]> {
  const rows = await sql`select path from leasehold.deadlocks`;
  return rows.map(({ path }) => (path as string).split("; ").sort()).sort();
}

/** A look finds what there is: as who waits has entered the queue by then. */
const expectDeadlock = async (...paths: string[]) => expect(await deadlocks()).toEqual([paths.sort()]);
const expectNone = async () => expect(await deadlocks()).toEqual([]);

test("two who read two keys and want to write the other one", async () => {
  const { hold, wait } = open("one", "two");
  await hold("one", "a", shared);
  await hold("two", "b", shared);
  await wait("one", "b");
  await expectNone();
  await wait("two", "a");
  await expectDeadlock("one waits for b, held by two", "two waits for a, held by one");
});

test("a writer waits for every reader: each may close the cycle, and one who waits for nothing is in none", async () => {
  const { hold, wait } = open("idle", "reader", "writer");
  await hold("idle", "a", shared);
  await hold("reader", "a", shared);
  await hold("writer", "b");
  await wait("writer", "a");
  await expectNone();
  await wait("reader", "b", shared);
  await expectDeadlock("writer waits for a, held by reader", "reader waits for b, held by writer");
});

test("over a place in the queue: a reader behind a writer waits for the readers that the writer waits for", async () => {
  const { hold, wait } = open("one", "two", "writer");
  await hold("one", "a", shared);
  await hold("two", "b");
  await wait("one", "b");
  await wait("writer", "a");
  await expectNone();
  await wait("two", "a", shared);
  await expectDeadlock("one waits for b, held by two", "two waits for a, held by one");
});

test("not: a reader who is granted its share beside the other", async () => {
  const { hold, wait } = open("one", "two");
  await hold("one", "a", shared);
  await hold("two", "b");
  await wait("one", "b");
  const lock = await hold("two", "a", shared);
  await expectNone();
  await lock.release();
});

test("two who share a semaphore, and each want another part of it", async () => {
  const { hold, wait } = open("one", "two");
  const part = { capacity: 2 };
  await hold("one", "s", part);
  await hold("two", "s", part);
  await wait("one", "s", part);
  await expectNone();
  await wait("two", "s", part);
  await expectDeadlock("one waits for s, held by two", "two waits for s, held by one");
});

test("not: two who hold a part of a semaphore each and want another one, while a third could make room", async () => {
  const { hold, wait } = open("one", "two", "third");
  const part = { capacity: 3 };
  await hold("one", "s", part);
  await hold("two", "s", part);
  const third = await hold("third", "s", part);
  await wait("one", "s", part);
  await wait("two", "s", part);
  await expectNone();
  // nor if the third waits for somebody who waits for nobody
  const other = open("free");
  await other.hold("free", "x");
  await wait("third", "x");
  await expectNone();
  await third.release();
  await until(
    "one of them is granted it",
    async () => (await sql`select from leasehold.waiting where key = 's'`).length === 1,
  );
  const [row] = await sql`select count(*)::int as n from leasehold.active_leases where key = 's'`;
  expect(row).toEqual({ n: 3 });
});

test("a semaphore whose holders all wait for who waits for it", async () => {
  const { hold, wait } = open("one", "two", "asker");
  const part = { capacity: 2 };
  await hold("one", "s", part);
  await hold("two", "s", part);
  await hold("asker", "x");
  await wait("asker", "s", part);
  await wait("one", "x");
  await expectNone(); // "two" may let go
  await wait("two", "x");
  const cycles = await deadlocks();
  expect(cycles).toEqual([
    ["asker waits for s, held by one", "one waits for x, held by asker"],
    ["asker waits for s, held by two", "two waits for x, held by asker"],
  ]);
});

test("a part that is too large for the rest waits for those who hold too much, and not for others", async () => {
  const { hold, wait } = open("large", "small", "asker");
  await hold("large", "s", { capacity: 5, weight: 4 });
  const small = await hold("small", "s", { capacity: 5, weight: 1 });
  await hold("asker", "x");
  await wait("large", "x");
  await expectNone();
  await wait("asker", "s", { capacity: 5, weight: 2 });
  // what "small" has makes too little room
  await expectDeadlock("large waits for x, held by asker", "asker waits for s, held by large");
  await small.release();
  await expectDeadlock("large waits for x, held by asker", "asker waits for s, held by large");
});

test("not: a holder without presence, who may let go", async () => {
  const { hold, wait } = open("one", "two");
  await using absent = openLocker(database, { owner: "absent", presence: "off" });
  const part = { capacity: 2 };
  const unknown = await absent.acquire("s", part);
  await hold("one", "s", part);
  await hold("two", "x");
  await wait("two", "s", part);
  await wait("one", "x");
  await expectNone();
  await unknown.release();
});

test("not: a share that has expired, or one's own", async () => {
  const { of, hold, wait } = open("one", "two");
  await hold("one", "x");
  await wait("two", "x");
  const lapsed = await hold("two", "y", { ...shared, keepAlive: false });
  await wait("one", "y");
  await until("it is closed", async () => (await deadlocks()).length === 1);
  await sql`update leasehold.shares set expires_at = clock_timestamp() where fence = ${String(lapsed.fence)}`;
  await until("it is open", async () => (await deadlocks()).length === 0);
  await hold("two", "z", shared);
  await wait("two", "z");
  await expectNone();
  expect(of("two").locks("z")).toHaveLength(1);
});

test("who times out is told, also behind a writer", async () => {
  const { of, hold, wait } = open("one", "two", "writer");
  await hold("one", "a", shared);
  await hold("two", "b");
  await wait("one", "b");
  await wait("writer", "a");
  const error = await of("two")
    .acquire("a", { shared: true, waitMs: 1_500 })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WaitTimeoutError);
  const { deadlock } = error as WaitTimeoutError;
  expect([...(deadlock ?? [])].sort()).toEqual(['one waits for "b", held by two', 'two waits for "a", held by one']);
});
