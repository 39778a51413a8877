// One look at a key: whoever is next is granted it at once, also while somebody has its row locked for a moment. Whoever is not leaves
// the row alone.
import type postgres from "postgres";
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { acquireRows, lookRow, type NamedSession } from "../support/acts.js";
import { ask } from "../support/ask.js";
import { acquireFirst, releaseBatch, renewBatch } from "../support/batches.js";
import { openClient } from "../support/client.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { until } from "../support/until.js";
import { queueOf } from "./queue.js";

const database = await createDatabase();
/** One in which a look that waits for a locked row waits for a minute, not for 5 ms: so a test can say when the row is free. */
const patient = await createDatabase();
await patient.sql.unsafe("alter function leasehold_internal._wait_for_lease(text, boolean) set lock_timeout = '60s'");
beforeEach(() => {
  for (const each of [database, patient]) expectLeft(each, "leases", "waiters", "sessions");
});
afterAll(() => database.sql`truncate leasehold.waiters`);

interface Claim {
  readonly key: string;
  readonly token: string;
  readonly ticket: string | null;
  readonly proof: string | null;
}

interface Looked extends Claim {
  readonly outcome: string;
  readonly blocker: number | null;
}

const newcomer = (key: string): Claim => ({ key, token: crypto.randomUUID(), ticket: null, proof: null });

async function look(
  sql: postgres.Sql | postgres.TransactionSql,
  claim: Claim,
  { waits = true, session = null }: { waits?: boolean; session?: NamedSession | null } = {},
): Promise<Looked> {
  const row = lookRow({ ...claim, waits }, { session });
  const [answer] = await sql.unsafe<Omit<Looked, "key" | "token">[]>(
    `select outcome, ticket::text, proof::text, blocker from ${row}`,
  );
  if (answer === undefined) throw new Error("no answer");
  return { ...claim, ...answer };
}

/** So many wait for a key that somebody holds: in their order, with entries that last. */
async function openLine({ sql }: TestDatabase, key: string, count: number) {
  const held = await acquireFirst(sql, [key]);
  const waiting: Looked[] = [];
  for (let n = 0; n < count; n += 1) waiting.push(await look(sql, newcomer(key)));
  expect(waiting.map(({ outcome }) => outcome)).toEqual(waiting.map(() => "queued"));
  await sql`update leasehold.waiters set alive_until = clock_timestamp() + interval '1 hour' where key = ${key}`;
  return { held, waiting: waiting as [Looked, ...Looked[]], release: () => releaseBatch(sql, held) };
}

/** A connection of its own. */
async function connect({ url }: TestDatabase): Promise<postgres.Sql> {
  const client = await openClient(url);
  onTestFinished(() => client.end());
  return client;
}

/** Somebody else's transaction that has the row of the key locked. */
async function lockRow(on: TestDatabase, key: string, mode = "for update") {
  const client = await connect(on);
  const [row] = await client`select pg_backend_pid() as pid`;
  await client.unsafe(`begin; select from leasehold.leases where key = '${key}' ${mode}`);
  return { pid: row?.pid as number, end: async () => void (await client.unsafe("rollback")) };
}

/** Whether it waits for this server process, once it does or is answered. */
async function waitsFor({ sql }: TestDatabase, pid: number, answer: Promise<unknown>): Promise<boolean> {
  let isAnswered = false;
  const settled = () => {
    isAnswered = true;
  };
  answer.then(settled, settled);
  return await until("it waits, or is answered", async () => {
    const found = await sql`
      select from pg_stat_activity
       where datname = current_database() and ${pid}::int = any (pg_blocking_pids(pid))`;
    return found.length > 0 ? { waits: true } : isAnswered && { waits: false };
  }).then(({ waits }) => waits);
}

describe("a row that somebody has locked for a moment", () => {
  test.each([
    ["somebody who joins the queue", "for no key update"],
    ["a look", "for update"],
    ["a guard that ends", "for key share"],
  ])("by %s: whoever is next is granted the key within its look", async (label, mode) => {
    const { waiting, release } = await openLine(patient, label, 2);
    await release();
    const other = await lockRow(patient, label, mode);

    const looking = look(await connect(patient), waiting[0]);
    const hasWaited = await waitsFor(patient, other.pid, looking);
    await other.end();

    expect([hasWaited, (await looking).outcome]).toEqual([true, "granted"]);
    expect((await leaseRow(patient.sql, label)).token).toBe(waiting[0].token);
  });

  test("is waited for by whoever joins the queue, too, and by a first attempt", async () => {
    await acquireFirst(patient.sql, ["join"]);
    for (const ask of [look, (sql: postgres.Sql, claim: Claim) => firstAttempt(sql, claim)]) {
      const other = await lockRow(patient, "join", "for no key update");
      const joining = ask(await connect(patient), newcomer("join"));
      const hasWaited = await waitsFor(patient, other.pid, joining);
      await other.end();
      expect([hasWaited, (await joining).outcome]).toEqual([true, "queued"]);
    }

    async function firstAttempt(sql: postgres.Sql, claim: Claim): Promise<{ outcome: string }> {
      const [answer] = await acquireFirst(sql, [claim], { waits: true });
      return { outcome: String(answer?.outcome) };
    }
  });

  test("by a guard: others join the queue meanwhile", async () => {
    await acquireFirst(patient.sql, ["guarded"]);
    const guard = await lockRow(patient, "guarded", "for key share");
    const joining = look(await connect(patient), newcomer("guarded"));
    expect(await waitsFor(patient, guard.pid, joining)).toBe(false);
    expect((await joining).outcome).toBe("queued");
    await guard.end();
  });

  test("is waited for by none of several looks: they would wait for each other's rows", async () => {
    await releaseBatch(patient.sql, await acquireFirst(patient.sql, ["several 1"]));
    await acquireFirst(patient.sql, ["several 2"]);
    const others = [await lockRow(patient, "several 1"), await lockRow(patient, "several 2")] as const;
    const client = await connect(patient);
    const items = ["several 1", "several 2"].map((key) => ({ key, waits: true }));
    const asked = client.unsafe(`select outcome from ${acquireRows(items)} order by item`).then((rows) => [...rows]);
    const hasWaited = await waitsFor(patient, others[0].pid, asked); // for the first of them, if for any
    for (const other of others) await other.end();
    expect([hasWaited, await asked]).toEqual([false, [{ outcome: "busy" }, { outcome: "busy" }]]);
  });
});

test("a row that a stranger keeps locked is busy after some 5 ms, for whoever is next and for whoever joins", async () => {
  const { waiting, release } = await openLine(database, "stranger", 1);
  await release();
  await acquireFirst(database.sql, ["stranger too"]);
  const client = await connect(database);
  for (const claim of [waiting[0], newcomer("stranger too")]) {
    const stranger = await lockRow(database, claim.key);
    const times: number[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      const askedAt = performance.now();
      const looked = await look(client, claim);
      times.push(performance.now() - askedAt);
      expect(looked).toMatchObject({ outcome: "busy", ticket: claim.ticket, blocker: stranger.pid });
    }
    await stranger.end();
    expect(Math.min(...times)).toBeGreaterThan(4);
    // The statement may wait for 100. A busy machine is late, but not each time.
    expect(Math.min(...times)).toBeLessThan(60);
  }
});

describe("whoever is not next leaves the row alone", () => {
  test.each([
    ["a look of the second, who has a ticket", true],
    ["a try", false],
  ])("%s, in a transaction that stays open", async (label, waits) => {
    const { waiting, release } = await openLine(database, label, 2);
    const [first, second] = waiting as [Looked, Looked];
    await release();
    const client = await connect(database);
    await client.unsafe("begin");
    const passed = await look(client, waits ? second : newcomer(label), { waits });
    const granted = await look(database.sql, first);
    await client.unsafe("rollback");

    expect(passed.outcome).toBe(waits ? "queued" : "held");
    expect(granted.outcome).toBe("granted");
    expect((await queueOf(database, label)).map(({ token }) => token)).toEqual([second.token]);
  });

  test.each([
    ["held", ""],
    ["cooling", "token = null, hold_until = clock_timestamp() + interval '1 hour'"],
  ])("the first look of the queue, while the key is %s", async (label, change) => {
    const { held, waiting } = await openLine(database, label, 1);
    if (change !== "") await database.sql.unsafe(`update leasehold.leases set ${change} where key = '${label}'`);
    for (const claim of [waiting[0], newcomer(label)]) {
      const client = await connect(database);
      await client.unsafe("begin");
      const looked = await look(client, claim, { waits: claim.ticket !== null });
      expect(looked.outcome).toBe(claim.ticket === null ? "held" : "queued");
      const free = await database.sql`select from leasehold.leases where key = ${label} for update skip locked`;
      expect(free).toHaveLength(1);
      await client.unsafe("rollback");
    }
    if (change === "") expect(await renewBatch(database.sql, held, {})).toMatchObject([{ outcome: "renewed" }]);
  });

  test("a look of the second while a stranger has the row locked: it keeps its entry, and is told so", async () => {
    const { waiting, release } = await openLine(database, "kept", 2);
    const second = waiting[1] as Looked;
    await release();
    const stranger = await lockRow(database, "kept");
    await database.sql`update leasehold.waiters set alive_until = clock_timestamp() + interval '1 minute' where key = 'kept'`;
    const looked = await look(database.sql, second);
    await stranger.end();
    expect(looked).toMatchObject({ outcome: "queued", ticket: second.ticket, proof: second.proof });
  });
});

test("a free key goes to the first of its queue alone, whatever tickets the others have", async () => {
  const { waiting, release } = await openLine(database, "order", 3);
  await release();
  const [first, second, third] = waiting as [Looked, Looked, Looked];
  expect((await look(database.sql, third)).outcome).toBe("queued");
  expect((await look(database.sql, second)).outcome).toBe("queued");
  expect((await look(database.sql, first)).outcome).toBe("granted");
  // The others are not forgotten.
  expect((await ask(database.sql, ["order"]))[0]?.outcome).toBe("held");
  expect((await queueOf(database, "order")).map(({ token }) => token)).toEqual([second.token, third.token]);
});

test("a key that is free but guarded is granted to whoever is next only when the guard has ended", async () => {
  const { waiting, release } = await openLine(database, "free, guarded", 1);
  await release();
  const guard = await lockRow(database, "free, guarded", "for key share");
  expect(await look(database.sql, waiting[0])).toMatchObject({ outcome: "busy", ticket: waiting[0].ticket });
  await guard.end();
  expect((await look(database.sql, waiting[0])).outcome).toBe("granted");
});

test("a release says whose session is next, the expired ones left out", async () => {
  const { sql } = database;
  for (const names of [["next"], ["next 1", "next 2"]]) {
    const held = await acquireFirst(sql, names);
    for (const [index, key] of names.entries())
      await sql`
        insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
        select ${key}, t, gen_random_uuid(), 100 * ${index}::int + t, 'waiter', clock_timestamp(),
               clock_timestamp() + case when t = 1 then -1 else 1 end * interval '1 hour'
          from generate_series(1, 3) t`;
    await sql.unsafe(`update leasehold.leases set queued = true where key in ('${names.join("', '")}')`);
    const [answer] = await sql.unsafe(`
      select others from leasehold_internal.release(true, array['${names.join("', '")}'],
        array['${held.map(({ token }) => token).join("', '")}']::uuid[], array[${held.map(({ fence }) => fence).join()}]::bigint[])`);
    expect(JSON.parse(answer?.others)).toEqual(names.map((_, index) => [index + 1, "released", null, 100 * index + 2]));
  }
});

test("a look that is granted waits for the disk, one that is not makes nobody wait", async () => {
  const durability = (claim: Claim, before: string) =>
    database.sql.begin(async (transaction) => {
      await transaction.unsafe(`set local synchronous_commit = ${before}`);
      const { outcome } = await look(transaction, claim);
      const [row] = await transaction`select current_setting('synchronous_commit') as value`;
      return [outcome, row?.value];
    });
  const { waiting, release } = await openLine(database, "durable", 1);
  expect(await durability(waiting[0], "on")).toEqual(["queued", "off"]);
  await release();
  expect(await durability(waiting[0], "off")).toEqual(["granted", "on"]);
  await database.sql`update leasehold.leases set token = null where key = 'durable'`;
  expect(await durability(newcomer("durable"), "remote_apply")).toEqual(["granted", "remote_apply"]);
});
