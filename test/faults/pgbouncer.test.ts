// PgBouncer in transaction mode, with other clients busy on it. Where it is not installed these tests are skipped, loudly.
import postgres from "postgres";
import { expect, test } from "vitest";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { everythingWorks } from "./everything-works.js";
import { Gate } from "./gate.js";

const database = await createDatabase();
const { sql } = database;

/** Clients that run short transactions all the time, as an application does. */
function busyClients(url: string, count: number): AsyncDisposable & { readonly turns: () => number } {
  let isOver = false;
  let turns = 0;
  const clients = Array.from({ length: count }, () => postgres(url, { max: 1, prepare: false, fetch_types: false }));
  const work = clients.map(async (client) => {
    while (!isOver) {
      await client.unsafe("begin; select pg_sleep(0.002); commit");
      turns += 1;
    }
    await client.end();
  });
  return {
    turns: () => turns,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(work);
    },
  };
}

/** Clients that ask for something of their own all the time, and keep what they got instead. */
function curiousClients(
  url: string,
  count: number,
): AsyncDisposable & { readonly turns: () => number; readonly wrong: readonly unknown[] } {
  let isOver = false;
  let turns = 0;
  const wrong: unknown[] = [];
  const clients = Array.from({ length: count }, () => postgres(url, { max: 1, prepare: false, fetch_types: false }));
  const work = clients.map(async (client, number) => {
    while (!isOver) {
      const asked = `${number}: ${turns}`;
      const rows = await client.unsafe(`select '${asked}' as asked`);
      if (rows[0]?.asked !== asked) wrong.push({ asked, rows });
      turns += 1;
    }
    await client.end({ timeout: 1 });
  });
  return {
    turns: () => turns,
    wrong,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(work);
    },
  };
}

/** What each server connection of a pool has kept: its settings, and what else outlives a transaction. */
async function keptByServers(url: string, poolSize: number): Promise<ReadonlyMap<number, unknown>> {
  const client = postgres(url, { max: poolSize, prepare: false, fetch_types: false });
  const kept = new Map<number, unknown>();
  let allAreHere = (): void => {};
  const here = new Promise<void>((resolve) => {
    allAreHere = resolve;
  });
  await Promise.all(
    Array.from({ length: poolSize }, () =>
      client.begin(async (tx) => {
        const settings = await tx`select name, setting from pg_settings where name !~ '^(application_name$|plpgsql)'`;
        const [row] = await tx`select pg_backend_pid() as pid,
          (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
          (select count(*)::int from pg_listening_channels()) as channels,
          (select count(*)::int from pg_prepared_statements) as statements`;
        const { pid, ...rest } = row as { pid: number };
        kept.set(pid, { ...rest, settings: Object.fromEntries(settings.map(({ name, setting }) => [name, setting])) });
        if (kept.size === poolSize) allAreHere();
        await here;
      }),
    ),
  );
  await client.end();
  return kept;
}

test.for([
  [1, 0],
  [3, 0],
  [3, 4],
] as const)(
  "what is refused leaves nothing with a pooler's connections (a pool of %i, %i busy clients)",
  async ([poolSize, clients], { skip }) => {
    await using application = await createDatabase();
    const [name] = await application.sql`select current_database() as name`;
    for (const setting of [
      "search_path = app, public",
      "statement_timeout = '50s'",
      "lock_timeout = '40s'",
      "default_transaction_isolation = 'serializable'",
    ]) {
      await application.sql.unsafe(`alter database "${name?.name}" set ${setting}`);
    }
    await using pgbouncer = await startPgBouncer(application.url, { poolSize });
    if (!pgbouncer) return skip("PgBouncer is not installed");
    const url = pgbouncer.url(application.url);
    const before = await keptByServers(url, poolSize);
    expect([...before.values()][0]).toMatchObject({
      settings: { search_path: "app, public", statement_timeout: "50000" },
    });

    {
      await using busy = busyClients(url, clients);
      await until("they are busy", () => clients === 0 || busy.turns() > 20);
      await using locker = openLocker(url, { requestTimeoutMs: 10_000 });
      await expect(locker.ready()).rejects.toMatchObject({ name: "UnsafeBackendError" });
      await using migrating = openLocker(url, { requestTimeoutMs: 10_000 });
      await migrating.migrate();
    }

    await until("what was cut is gone", async () => {
      const rows = await application.sql`select from pg_stat_activity
        where datname = current_database() and application_name like 'leasehold%' and state <> 'idle'`;
      return rows.length === 0;
    });
    const [unchanged] = before.values();
    const after = await keptByServers(url, poolSize);
    expect([...after.values()]).toEqual(Array.from({ length: poolSize }, () => unchanged));
    // else it would be new ones that are looked at: a pool of one lost its own, which was cut in a transaction
    expect(poolSize === 1 || [...after.keys()].some((pid) => before.has(pid))).toBe(true);
    expect(await application.sql`select from leasehold.sessions`).toHaveLength(0);
  },
);

test.for([1, 2, 5])(
  "under presence a transaction pooler is refused by name, whatever its load and its pool (of %i)",
  async (poolSize, { skip }) => {
    await using pgbouncer = await startPgBouncer(database.url, { poolSize });
    if (!pgbouncer) return skip("PgBouncer is not installed");
    const url = pgbouncer.url(database.url);
    await using busy = busyClients(url, 4);
    await until("they are busy", () => busy.turns() > 20);

    for (let attempt = 0; attempt < (poolSize === 1 ? 1 : 3); attempt += 1) {
      await using locker = openLocker(url, { requestTimeoutMs: 10_000 });
      const error = await locker.ready().catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        name: "UnsafeBackendError",
        code: "unsafe-backend",
        remedy: expect.stringContaining("directUrl"),
      });
      await expect(locker.acquire("refused")).rejects.toMatchObject({ code: "unsafe-backend" });
    }
    // nor did it harm a stranger: not one of the others' connections was cut
    const before = busy.turns();
    await until("they are still busy", () => busy.turns() > before + 20);
    expect(await sql`select from leasehold.leases where key = 'refused' and token is not null`).toHaveLength(0);
    expect(await sql`select from leasehold.sessions`).toHaveLength(0);
  },
);

test("a session pooler's connections are ours: what is set stays, whatever the role's defaults are", async ({
  skip,
}) => {
  const settings = {
    search_path: "pg_temp",
    default_transaction_isolation: "repeatable read",
    default_transaction_read_only: "on",
    statement_timeout: "50ms",
    lock_timeout: "10ms",
    idle_in_transaction_session_timeout: "20ms",
    extra_float_digits: "-15",
  };
  const role = await createRole(database, { settings, grantUsage: true });
  await using pgbouncer = await startPgBouncer(role.url, { poolMode: "session", poolSize: 6 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using proxy = await startProxy(pgbouncer.url(role.url));
  const errors: unknown[] = [];
  const options = { ttlMs: 5_000, onError: (error: unknown) => errors.push(error) };
  await using one = openLocker(proxy.url(role.url), options);
  await using two = openLocker(proxy.url(role.url), options);

  await everythingWorks(sql, one, two, "session");

  expect(errors).toEqual([]);
  const all = new Set(proxy.statements.map(({ connection }) => connection));
  const settled = proxy.statements.filter(({ sql }) => sql.startsWith("set search_path = pg_catalog, pg_temp;"));
  expect(all.size).toBe(6);
  expect(new Set(settled.map(({ connection }) => connection))).toEqual(all);
});

test("a session pooler that is far away is not taken for a transaction pooler, however long all of the questions take", async ({
  skip,
}) => {
  await using pgbouncer = await startPgBouncer(database.url, { poolMode: "session", poolSize: 6 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using proxy = await startProxy(pgbouncer.url(database.url));
  Object.assign(proxy.delayMs, { toServer: 30, toClient: 30 });
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 2_000, onError });

  const lock = await locker.acquire("far away", { waitMs: 120_000 });

  await lock.release();
  const asked = proxy.statements.filter(({ sql }) => sql === "select pg_catalog.pg_backend_pid() as pid");
  expect(asked.length * 60).toBeGreaterThan(2_000 / 2); // longer than a single answer may take
  expect(errors.map(String)).not.toContainEqual(expect.stringContaining("pooler"));
});

test("without presence everything works through a transaction pooler under load", async ({ skip }) => {
  await using pgbouncer = await startPgBouncer(database.url, { poolSize: 3 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  const url = pgbouncer.url(database.url);
  await using busy = busyClients(url, 4);
  await until("they are busy", () => busy.turns() > 20);
  const options = { presence: "off", ttlMs: 5_000 } as const;
  await using one = openLocker(url, options);
  await using two = openLocker(url, options);

  await everythingWorks(sql, one, two, "off");
});

test("with a direct address for the session the pooled one serves everything else, with presence", async ({ skip }) => {
  await using pgbouncer = await startPgBouncer(database.url, { poolSize: 3 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  const url = pgbouncer.url(database.url);
  await using busy = busyClients(url, 4);
  await until("they are busy", () => busy.turns() > 20);
  const options = { directUrl: database.url, ttlMs: 5_000 };
  await using one = openLocker(url, options);
  await using two = openLocker(url, options);

  await everythingWorks(sql, one, two, "direct");
  const [row] = await sql`
    select count(*)::int as direct from pg_stat_activity
    where datname = current_database() and application_name = 'leasehold session'`;
  expect(row?.direct).toBe(2);
  expect((await sql`select from leasehold.sessions`).length).toBe(2);
});

test("a locker that is cut off in the middle of a statement leaves its answer to no stranger", async ({ skip }) => {
  await using gated = await createDatabase();
  const gate = await Gate.build(gated);
  await using pgbouncer = await startPgBouncer(gated.url, { poolSize: 3 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using proxy = await startProxy(pgbouncer.url(gated.url));
  await using locker = openLocker(proxy.url(gated.url), { presence: "off" });
  await locker.ready();
  await using strangers = curiousClients(pgbouncer.url(gated.url), 4);

  for (let round = 0; round < 5; round += 1) {
    await gate.shut("leasehold commands");
    // two statements of one moment, of which the second is not answered
    const both = Promise.all([locker.check("other"), locker.acquire(`cut ${round}`)]);
    const pid = await gate.standing("leasehold commands");
    proxy.cutAll();
    const turns = strangers.turns();
    await until("strangers are served", () => strangers.turns() > turns + 20);
    await gate.open();
    await until("the statement has ended", async () => {
      const rows = await gated.sql`select from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`;
      return rows.length === 0;
    });
    const [, lock] = await both;
    await lock.release();
  }

  expect(strangers.wrong).toEqual([]);
});
