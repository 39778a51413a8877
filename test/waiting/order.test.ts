import { beforeAll, expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { isQueued, untilQueued } from "./queue.js";
import type { Grant } from "./waiter.js";

const file = new URL("./waiter.ts", import.meta.url);

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

test("200 waiters of 4 processes are served in the order of their tickets", async () => {
  await using a = await startWorker(file, { url: database.url });
  await using b = await startWorker(file, { url: database.url });
  await using c = await startWorker(file, { url: database.url });
  await using d = await startWorker(file, { url: database.url });
  const processes = [a, b, c, d];
  await Promise.all(processes.map((process) => process.request("ready")));
  await using locker = openLocker(database);
  const held = await locker.acquire("queue");

  // Twenty at a time: a process sends what it is asked meanwhile in one statement, and a slow one all of its 50.
  const waits: Promise<Grant>[] = [];
  while (waits.length < 200) {
    for (let n = 0; n < 20; n += 1)
      waits.push((processes[n % 4] ?? a).request<Grant>("wait", { key: "queue", name: `${n % 4}` }));
    await untilQueued(database, "queue", waits.length);
  }
  const queue = await untilQueued(database, "queue", 200);
  await held.release();
  const grants = await Promise.all(waits);
  await Promise.all(processes.map((process) => process.request("close")));

  const served = grants.toSorted((x, y) => (x.fence < y.fence ? -1 : 1));
  const position = new Map(queue.map(({ token }, index) => [token, index]));
  expect(served.map(({ token }) => position.get(token))).toEqual(queue.map((_, index) => index));
  // the processes are mixed in the queue
  const changes = served.filter(({ name }, index) => name !== served[index - 1]?.name).length;
  expect(changes).toBeGreaterThan(8);
  expect(await isQueued(database, "queue")).toBe(false);
});

test("those of a process that ask before it is connected are served in the order in which they asked", async () => {
  await using holder = openLocker(database);
  for (let round = 0; round < 8; round += 1) {
    const key = `connecting ${round}`;
    await using other = openLocker(database);
    const held = await holder.acquire(key);
    const served: number[] = [];
    const waits = [0, 1, 2].map(async (n) => {
      const lock = await other.acquire(key);
      served.push(n);
      await lock.release();
    });
    await untilQueued(database, key, 3);
    await held.release();
    await Promise.all(waits);
    expect(served).toEqual([0, 1, 2]);
  }
});

test("who only tries does not pass those who wait", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  await using passer = openLocker(database);
  await passer.ready();
  const held = await holder.acquire("queue jumper");
  const waiting = waiter.acquire("queue jumper");
  await untilQueued(database, "queue jumper", 1);
  // Freed, and nobody was told: the waiter looks when its poll is due.
  await database.sql`
    update leasehold.leases set token = null, session_id = null where key = 'queue jumper'`;

  // alone, and in one statement with another key
  const alone = await passer.tryAcquire("queue jumper");
  const [together, other] = await Promise.all([passer.tryAcquire("queue jumper"), passer.tryAcquire("another")]);

  expect([alone, together]).toEqual([null, null]);
  await other?.release();
  const lock = await waiting;
  expect(lock.fence).toBeGreaterThan(held.fence);
  await lock.release();
  await held.release().catch(() => undefined);
});
