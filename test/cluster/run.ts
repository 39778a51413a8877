// One fault: workers run, the fault is caused, the cluster mends, the workers end, and the judge looks at what they saw.
import { setTimeout as sleep } from "node:timers/promises";
import { startWorker, type WorkerProcess } from "../support/child.js";
import type { HighlyAvailable } from "./cluster.js";
import type { Fault } from "./faults.js";
import {
  accounts,
  concat,
  counters,
  type FinalState,
  type History,
  nowMs,
  openingBalance,
  type Route,
} from "./history.js";
import { judge } from "./judge.js";
import { type FaultReport, measure } from "./measure.js";
import type { ClusterWorkerArgs } from "./worker.js";

const routes: readonly Route[] = ["haproxy", "haproxy", "haproxy", "haproxy", "hosts", "hosts"];
/** Long enough for every lock to have been taken, and for most of those with a TTL of 30 s to have been renewed. */
const BEFORE_MS = 12_000;
const AFTER_MS = 6_000;

export async function runFault(cluster: HighlyAvailable, fault: Fault, random: () => number): Promise<FaultReport> {
  await cluster.healthy();
  await createTables(cluster);
  const workers = await startWorkers(cluster, random);
  try {
    await sleep(BEFORE_MS);
    const primary = await cluster.waitForPrimary();
    const from = nowMs();
    await fault.cause(cluster, primary, random);
    await cluster.mended();
    await sleep(AFTER_MS);
    const to = nowMs();
    const histories = await Promise.all(
      workers.map((worker) => worker.request<History>("stop", undefined, { timeoutMs: 90_000 })),
    );
    const history = concat(histories);
    const facts = { mode: cluster.mode, mayLose: fault.mayLose, from, to };
    return measure(fault, facts, history, judge(history, await look(cluster), facts));
  } finally {
    await Promise.all(workers.map((worker) => worker.dispose()));
  }
}

async function startWorkers(cluster: HighlyAvailable, random: () => number): Promise<WorkerProcess[]> {
  const nameOf = (index: number) => `worker-${(index % routes.length) + 1}`;
  return await Promise.all(
    routes.map((route, index) => {
      const args: ClusterWorkerArgs = {
        name: nameOf(index),
        next: nameOf(index + 1),
        route,
        url: route === "haproxy" ? cluster.url : cluster.urlOfHosts,
        seed: Math.floor(random() * 2 ** 32),
      };
      return startWorker("test/cluster/worker.ts", args);
    }),
  );
}

async function createTables(cluster: HighlyAvailable): Promise<void> {
  const sql = await cluster.client();
  try {
    await sql.unsafe(`
      drop table if exists accounts, writes;
      create table accounts (key text primary key, balance bigint not null, version bigint not null default 0);
      create table writes (
        id text not null, key text not null, version bigint not null, fence bigint not null, was bigint not null,
        value bigint not null)`);
    const rows = [
      ...accounts.map((key) => ({ key, balance: openingBalance })),
      ...counters.map((key) => ({ key, balance: 0 })),
    ];
    await sql`insert into accounts ${sql(rows)}`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** What stands in the database of the primary in the end. */
async function look(cluster: HighlyAvailable): Promise<FinalState> {
  const sql = await cluster.client();
  try {
    const balances = await sql`select key, balance::int as balance from accounts`;
    const rows = await sql`
      select id, key, version::int as version, fence::text as fence, was::int as was, value::int as value from writes`;
    return {
      rows: rows.map(({ id, key, version, fence, was, value }) => ({
        id,
        key,
        version,
        fence: BigInt(fence),
        was,
        value,
      })),
      balances: Object.fromEntries(balances.map(({ key, balance }) => [key, balance])),
    };
  } finally {
    await sql.end({ timeout: 1 });
  }
}
