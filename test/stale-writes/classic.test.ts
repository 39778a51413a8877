// The failure that fencing tokens are for: a holder reads, is frozen past its TTL, another takes over and writes, and the
// first goes on and writes what it had made of the old state.
import { beforeEach, expect, test } from "vitest";
import { startWorker, type WorkerProcess } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { until } from "../support/until.js";
import type { AccountWorkerArgs, Way, Write } from "./account-worker.js";

const key = "account:1";
const database = await createDatabase();
const { sql } = database;

beforeEach(async () => {
  await sql`drop table if exists accounts`;
  await sql`create table accounts (key text primary key, balance integer not null, fence bigint not null default 0)`;
  await sql`insert into accounts (key, balance) values (${key}, 100)`;
});

interface Case {
  /** Does what protects the table, if anything does. */
  readonly protect: () => Promise<unknown>;
  readonly next: Way;
  readonly late: Way;
}

const fenceTable = () => sql`select leasehold.fence_table('accounts', 'fence')`;
const guardTable = () => sql`select leasehold.guard_table('accounts', 'key')`;
const nothing = async () => {};

const start = (ttlMs: number) => {
  const args: AccountWorkerArgs = { url: database.url, key, ttlMs };
  return startWorker("test/stale-writes/account-worker.ts", args);
};

async function balance(): Promise<number> {
  const [row] = await sql`select balance from accounts`;
  return row?.balance;
}

async function close(...workers: readonly WorkerProcess[]): Promise<void> {
  for (const worker of workers) await worker.request("close");
}

/** What becomes of the late write, and of the balance: 100 at first, to which the next holder adds 5 and the late one 10. */
async function fail({ protect, next, late }: Case): Promise<{ readonly error: unknown; readonly balance: number }> {
  await protect();
  await using first = await start(1_000);
  await using second = await start(30_000);
  await first.request("read");
  first.stop();
  await second.request("read");
  await second.request("write", { way: next, amount: 5 } satisfies Write);
  expect(await balance()).toBe(105);

  // it is the first thing that it finds when it goes on
  const written = first.request("write", { way: late, amount: 10 } satisfies Write).then(
    () => null,
    (error: unknown) => error,
  );
  first.cont();
  const outcome = { error: await written, balance: await balance() };

  expect(await first.request("isHeld")).toBe(false);
  expect(await second.request("isHeld")).toBe(true);
  await close(first, second);
  return outcome;
}

test("without a fence the late write is taken, and the other's write is lost", async () => {
  const outcome = await fail({ protect: nothing, next: "an update", late: "an update" });
  expect(outcome).toEqual({ error: null, balance: 110 });
});

test.each<[string, string, Case]>([
  ["a guard", "LH001", { protect: nothing, next: "an update after a guard", late: "an update after a guard" }],
  ["fence_table", "LH006", { protect: fenceTable, next: "an update with the fence", late: "an update with the fence" }],
  [
    "guard_table, without a guard,",
    "LH005",
    { protect: guardTable, next: "an update after a guard", late: "an update" },
  ],
  [
    "guard_table, after a guard whose refusal it ignores,",
    "LH005",
    {
      protect: guardTable,
      next: "an update after a guard",
      late: "an update after a guard whose refusal is ignored",
    },
  ],
])("under %s the late write is refused by Postgres (%s), and the other's write stands", async (_, code, one) => {
  const outcome = await fail(one);
  expect(outcome).toEqual({ error: expect.objectContaining({ name: "PostgresError", code }), balance: 105 });
});

test("who writes the fence when it reads has closed the row to older fences before its own write", async () => {
  await fenceTable();
  await using first = await start(1_000);
  await using second = await start(30_000);
  await first.request("read");
  first.stop();
  await second.request("read");
  await second.request("write", { way: "an update with the fence", amount: 0 } satisfies Write);

  const written = first.request("write", { way: "an update with the fence", amount: 10 } satisfies Write);
  const refused = expect(written).rejects.toMatchObject({ name: "PostgresError", code: "LH006" });
  first.cont();
  await refused;
  await second.request("write", { way: "an update with the fence", amount: 5 } satisfies Write);

  expect(await balance()).toBe(105);
  await close(first, second);
});

test("a holder that is frozen between its guard and its write keeps the key until Postgres ends its transaction, and writes nothing", async () => {
  await guardTable();
  await using first = await start(1_000);
  await using second = await start(30_000);
  await first.request("read");
  await first.request("begin");
  await first.request("guard");
  first.stop();
  const guarding = () =>
    sql`select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`;
  expect(await guarding()).toHaveLength(1);

  await second.request("read");
  expect(await guarding()).toHaveLength(0);
  await second.request("write", { way: "an update after a guard", amount: 5 } satisfies Write);
  // Its client may have connected again by then, by itself, and then there is no transaction around it.
  const refused = expect(first.request("writeOn", { amount: 10 })).rejects.toMatchObject({
    code: expect.stringMatching(/^(25P03|57P01|CONNECTION_CLOSED|ECONNRESET|EPIPE|LH005)$/),
  });
  first.cont();
  await refused;

  await until("the frozen one has noticed", async () => (await first.request("isHeld")) === false);
  expect(await balance()).toBe(105);
  await close(first, second);
});
