import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createLocker } from "../../src/index.js";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { migrations } from "../../src/postgres/schema/migrations.generated.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { nodeArguments } from "../support/compiled.js";
import { noteStderr } from "../support/uncaught.js";
import { connectTo } from "./connection.js";

const worker = nodeArguments(new URL("worker.ts", import.meta.url));
const children: ChildProcess[] = [];
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ settings: { max_prepared_transactions: 5 } });
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
});

afterAll(() => cluster.destroy());

test("8 processes that start at once on an empty database all succeed, and one of them migrates", async () => {
  const { url, sql } = await emptyDatabase("eight");
  const starting = Array.from({ length: 8 }, () => startWorker(url));
  const workers = await Promise.all(starting);
  for (const { child } of workers) child.stdin?.write("go\n");
  expect(await Promise.all(workers.map(({ exit }) => exit))).toEqual(
    Array.from({ length: 8 }, () => ({ status: 0, stderr: "" })),
  );
  expect(await applied(sql)).toEqual(migrations.map(({ hash }) => hash));
  expect(await sql`select version, min_client from leasehold.schema_version`).toEqual([{ version: 2, min_client: 2 }]);
  await sql.end();
});

test("a process killed in the middle leaves nothing behind, and the next one finishes without waiting long", async () => {
  const { url, sql } = await emptyDatabase("killed");
  // It stands still where the tables are made and the functions are not, far longer than this test may take.
  await sql.unsafe(`
    create function public.stand_still() returns event_trigger language plpgsql as $$ begin perform pg_sleep(600); end $$;
    create event trigger stand_still on ddl_command_end when tag in ('CREATE FUNCTION')
      execute function public.stand_still()`);
  const { child, exit } = await startWorker(url);
  child.stdin?.write("go\n");
  await until(async () => (await sleeping(sql)).length === 1);
  child.kill("SIGKILL");
  await exit;

  await sql`drop event trigger stand_still`;
  await migrateDatabase(connectTo(url));

  expect(await applied(sql)).toEqual(migrations.map(({ hash }) => hash));
  expect(await sleeping(sql)).toEqual([]);
  await sql.end();
});

test("another process that migrates is waited for, and not for ever", async () => {
  const { url, sql } = await emptyDatabase("waiting");
  const other = await openClient(url);
  await other`select pg_advisory_lock(1279480142, 0)`;

  const [backend] =
    await other`select pg_backend_pid() as pid, current_user::text as role, current_setting('application_name') as application`;
  const inTheWay = `server process ${backend?.pid} (${backend?.application}, as ${backend?.role}, idle) has the migration's lock`;

  const impatient = migrateDatabase(connectTo(url), { lockTimeoutMs: 1_500 });
  await expect(impatient).rejects.toMatchObject({
    code: "unavailable",
    outcome: "not-sent",
    message: `migrate() waited 1500 ms in vain: ${inTheWay}. Nothing was changed. Run it again, or raise lockTimeoutMs.`,
  });

  const told: string[] = [];
  const patient = migrateDatabase(connectTo(url), {}, { onWait: (who) => told.push(who) });
  await until(async () => told.length > 0);
  await other.end();
  await patient;
  expect(told).toEqual([inTheWay]);
  expect(await applied(sql)).toHaveLength(migrations.length);
  await sql.end();
});

test("a locker's onError hears of each that migrate() waits for", async () => {
  const { url, sql } = await emptyDatabase("in_line");
  const others = [await openClient(url), await openClient(url)] as const;
  const pids = await Promise.all(others.map(async (other) => (await other`select pg_backend_pid() as pid`)[0]?.pid));
  await others[0]`select pg_advisory_lock(1279480142, 0)`;
  const next = others[1]`select pg_advisory_lock(1279480142, 0)`.execute();
  const told: string[] = [];
  await using locker = createLocker({ url, onError: (error) => told.push(String(error)) });

  const migrated = locker.migrate();
  await until(async () => told.length === 1);
  await others[0].end();
  await next;
  await until(async () => told.length === 2);
  await others[1].end();
  await migrated;

  expect(told.map((text) => /migrate\(\) waits: server process (\d+)/.exec(text)?.[1])).toEqual(pids.map(String));
  await sql.end();
});

test("who has locked a table that a migration needs is named, also a prepared transaction", async () => {
  const { url, sql } = await emptyDatabase("locked");
  await migrateDatabase(connectTo(url));
  await sql`delete from leasehold.schema_version`; // as a restore without data leaves it
  const other = await openClient(url);
  const [backend] = await other`select pg_backend_pid() as pid`;
  await other.unsafe("begin; lock table leasehold.schema_version in exclusive mode");
  const told: string[] = [];
  const options = { lockTimeoutMs: 3_000 };
  const named = new RegExp(
    `in vain: server process ${backend?.pid} \\([^,]+, as \\S+, idle in transaction\\) has locked leasehold\\.schema_version\\. Nothing`,
  );
  const first = migrateDatabase(connectTo(url), options, { onWait: (who) => told.push(who) });
  await expect(first).rejects.toMatchObject({ code: "unavailable", message: expect.stringMatching(named) });
  expect(told).toHaveLength(1); // though it tried again

  await other.unsafe("prepare transaction 'a half'");
  await other.end();
  await expect(migrateDatabase(connectTo(url), options)).rejects.toMatchObject({
    message: expect.stringContaining("in vain: the prepared transaction a half has locked leasehold.schema_version."),
  });
  await sql`rollback prepared 'a half'`;
  await migrateDatabase(connectTo(url));
  expect(await sql`select version from leasehold.schema_version`).toEqual([{ version: 2 }]);
  await sql.end();
});

test("without a second connection to be had, it waits all the same", async () => {
  const { url, sql } = await emptyDatabase("lonely");
  const other = await openClient(url);
  await other`select pg_advisory_lock(1279480142, 0)`;
  let made = 0;
  const connect = () => {
    made += 1;
    if (made > 1) throw new Error("too many connections");
    return connectTo(url)();
  };
  const refused = migrateDatabase(connect, { lockTimeoutMs: 1_500 });
  await expect(refused).rejects.toMatchObject({ message: expect.stringContaining("another process migrates, or") });
  expect(made).toBe(2);
  await other.end();
  await sql.end();
});

test("a connection that is ended in the middle is an error, and running it again is safe", async () => {
  const { url, sql } = await emptyDatabase("ended");
  await sql`select pg_advisory_lock(1279480142, 0)`;
  const interrupted = migrateDatabase(connectTo(url));
  const refused = expect(interrupted).rejects.toMatchObject({ code: "unavailable", outcome: "not-sent" });
  await until(async () => {
    const ended = await sql`
      select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted`;
    return ended.length === 1;
  });
  await refused;
  await sql`select pg_advisory_unlock(1279480142, 0)`;
  expect(await sql`select from pg_namespace where nspname like 'leasehold%'`).toHaveLength(0);
  await migrateDatabase(connectTo(url));
  expect(await applied(sql)).toHaveLength(migrations.length);
  await sql.end();
});

async function emptyDatabase(name: string): Promise<{ url: string; sql: postgres.Sql }> {
  await (await cluster.sql()).unsafe(`create database ${name}`);
  const url = changeUrl(cluster.url, { database: name });
  return { url, sql: await openClient(url) };
}

async function startWorker(url: string) {
  const child = spawn(process.execPath, [...worker, url], { stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exit = once(child, "close").then(([status]) => {
    noteStderr(`migration in process ${child.pid}`, stderr);
    return { status, stderr };
  });
  await Promise.race([once(child.stdout, "data"), exit]);
  return { child, exit };
}

async function applied(sql: postgres.Sql): Promise<unknown[]> {
  return (await sql`select hash from leasehold.migrations order by created_at`).map(({ hash }) => hash);
}

function sleeping(sql: postgres.Sql) {
  return sql`select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
