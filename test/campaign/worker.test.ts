// The workers of the campaign for some seconds, without a nemesis: they do all that they are to do, and write it down.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findPsql } from "../sql-api/psql.js";
import { startWorker } from "../support/child.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { migrate } from "../support/migrate.js";
import { findPython } from "../support/python.js";
import { until } from "../support/until.js";
import { acts } from "./acts/acts.js";
import type { SqlClientArgs } from "./clients/arguments.js";
import { psqlCommand, pythonCommand } from "./clients/commands.js";
import type { ProcessEntry } from "./log.js";
import type { CampaignKeys, CampaignWorkerArgs } from "./worker/arguments.js";
import { now } from "./worker/log-file.js";
import type { WorkerStats } from "./worker/worker.js";

const accounts = ["account:1", "account:2", "account:3"];
const long = "long:".padEnd(511, "x");
const keys: CampaignKeys = {
  exclusive: ["plain:1", "plain:2", "plain:3", `${long}a`, `${long}b`],
  shared: ["shared:1"],
  semaphore: [{ key: "semaphore:1", capacity: 3 }],
  accounts,
  waits: ["line:1", "line:2"],
};

let cluster: Cluster;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leasehold-workers-"));
  cluster = await startCluster({ settings: { track_commit_timestamp: "on", cluster_name: "one" } });
  await migrate(cluster.url);
  const sql = await cluster.sql();
  await sql.unsafe(await readFile(new URL("record.sql", import.meta.url), "utf8"));
  for (const key of accounts) await sql`insert into campaign.accounts values (${key}, 1000, 1000)`;
});

afterAll(async () => {
  await cluster.destroy();
  await rm(folder, { recursive: true, force: true });
});

const argsOf = (name: string, seed: number): CampaignWorkerArgs => ({
  name,
  seed,
  logFile: join(folder, name),
  url: cluster.url,
  dataUrl: cluster.url,
  presence: seed % 2 === 0 ? "off" : "on",
  takeoverDelayMs: 2_000,
  // a busy machine is no outage
  requestTimeoutMs: 20_000,
  connectTimeoutMs: 20_000,
  flows: 10,
  keys,
  mix: Object.fromEntries(acts.map(({ name }) => [name, name === "close and open" ? 0.5 : 2])),
  libraries: ["postgres.js", "node-postgres", "drizzle", "kysely"],
  mayForce: true,
  mayForceImmediately: true,
  unsafeUrls: { "not-migrated": cluster.url.replace(/\/postgres(\?|$)/, "/template1$1") },
});

const clientArgsOf = (name: string, presence: "on" | "off"): SqlClientArgs => {
  return { name, seed: 1, logFile: join(folder, name), url: cluster.url, presence, statementTimeoutMs: 20_000, keys };
};

async function entriesOf(name: string): Promise<ProcessEntry[]> {
  const text = await readFile(join(folder, name), "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** What must be so of each log, whatever the process did. */
async function checkLog(name: string): Promise<ProcessEntry[]> {
  const entries = await entriesOf(name);
  const calls = entries.filter((entry) => entry.e === "call");
  const settled = entries.filter((entry) => entry.e === "settled");
  expect(settled.map(({ id }) => id).sort()).toEqual(calls.map(({ id }) => id).sort());
  expect(entries.filter(({ e }) => e === "uncaught")).toEqual([]);
  expect(entries[0]).toMatchObject({ p: name, e: "hello" });
  expect(entries.at(-1)).toMatchObject({ p: name, e: "bye", open: [] });
  return entries;
}

function statsOf(all: readonly WorkerStats[]): Map<string, number> {
  const done = new Map<string, number>();
  for (const { acts } of all)
    for (const [name, one] of Object.entries(acts)) done.set(name, (done.get(name) ?? 0) + one.done);
  return done;
}

test("each act comes to what it is for, and all that was begun is settled and left tidy", async () => {
  const names = ["first", "second"];
  const workers = await Promise.all(
    names.map((name, at) => startWorker("test/campaign/worker.ts", argsOf(name, at + 1))),
  );
  const missing = async (): Promise<readonly string[]> => {
    const stats = await Promise.all(workers.map((worker) => worker.request<WorkerStats>("stats")));
    const done = statsOf(stats);
    return acts.map(({ name }) => name).filter((name) => !done.get(name));
  };
  await until("each act is done once", async () => (await missing()).length === 0, { timeoutMs: 120_000 }).catch(
    async (error) => {
      throw new Error(`never done: ${(await missing()).join(", ")}`, { cause: error });
    },
  );
  // what it believes is asked before anything else can run
  await Promise.all(workers.map((worker) => worker.request("block", 300)));
  await Promise.all(workers.map((worker) => worker.request("finish")));
  await Promise.all(workers.map((worker) => worker.dispose()));

  for (const name of names) {
    const entries = await checkLog(name);
    expect(entries.some((entry) => entry.e === "lag" && entry.ms >= 250)).toBe(true);
    expect(entries.some((entry) => entry.e === "belief" && entry.held && entry.asserts)).toBe(true);
  }
  const sql = await cluster.sql();
  const [sum] = await sql`select count(*)::int from campaign.writes where not is_share`;
  expect(sum?.count).toBeGreaterThan(0);
  expect(
    await sql`select key from leasehold.leases where token is not null and expires_at > clock_timestamp() + interval '10 s'`,
  ).toEqual([]);
  const wrong = await sql`
    select key from campaign.accounts a
     where value <> opening_balance + (select coalesce(sum(w.value - w.was), 0) from campaign.writes w where w.key = a.key and not is_share)`;
  expect(wrong).toEqual([]);
});

const clients = { python: await findPython(), psql: await findPsql() };
for (const [name, path] of Object.entries(clients)) {
  if (path === undefined) console.warn(`[tests] !!! NO ${name}: the campaign's client in it is NOT tested`);
}

test.each(["on", "off"] as const)("clients of the SQL API do the same, with presence %s", async (presence) => {
  const started: { readonly name: string; readonly exit: Promise<unknown>; finish(): void }[] = [];
  for (const [kind, makeCommand] of [
    ["python", pythonCommand],
    ["psql", psqlCommand],
  ] as const) {
    const name = `${kind} ${presence}`;
    const command = await makeCommand(clientArgsOf(name, presence));
    if (command === undefined) continue;
    const [program, ...args] = command;
    const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
    started.push({ name, exit: once(child, "exit"), finish: () => child.stdin.end("finish\n") });
  }
  const wanted = ["tryAcquire", "acquire", "renew", "release", "transaction"];
  for (const { name } of started) {
    await until(`${name} has done all of it`, async () => {
      const entries = await entriesOf(name).catch(() => []);
      return wanted.every((call) => isDone(entries, call));
    });
  }
  // their connections are lost, and they make new ones
  const sql = await cluster.sql();
  const lostAt = now();
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`;
  for (const { name } of started) {
    await until(`${name} goes on`, async () =>
      isDone(
        (await entriesOf(name)).filter(({ t }) => t > lostAt + 100_000),
        "release",
      ),
    );
  }
  for (const { finish } of started) finish();
  const exits = await Promise.all(started.map(({ exit }) => exit));

  expect(exits).toEqual(started.map(() => [0, null]));
  for (const { name } of started) await checkLog(name);
});

test.skipIf(clients.psql === undefined)("the client in psql ends with its psql", async () => {
  const [program, ...args] = (await psqlCommand(clientArgsOf("killed", "on"))) as readonly [string, ...string[]];
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
  const exit = once(child, "exit");
  const hello = await until("it has begun", async () =>
    (await entriesOf("killed").catch(() => [])).find(({ e }) => e === "hello"),
  );
  process.kill(hello.e === "hello" ? hello.pid : (child.pid ?? 0), "SIGKILL");

  expect(await exit).toEqual([1, null]);
  expect((await entriesOf("killed")).at(-1)?.e).not.toBe("bye");
});

function isDone(entries: readonly ProcessEntry[], call: string): boolean {
  const ids = new Set(entries.flatMap((entry) => (entry.e === "call" && entry.call === call ? [entry.id] : [])));
  return entries.some((entry) => entry.e === "settled" && entry.outcome === "done" && ids.has(entry.id));
}
