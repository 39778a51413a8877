// Some seconds of chaos: processes that write under guards, while they are frozen, killed and cut off at random.
import { setTimeout as sleep } from "node:timers/promises";
import { startWorker, type WorkerProcess } from "../support/child.js";
import type { Cluster } from "../support/cluster.js";
import { migrate } from "../support/migrate.js";
import { randomFrom } from "../support/random.js";
import type { Settings } from "../support/settings.js";
import type { ChaosWorkerArgs, Counts } from "./chaos-worker.js";
import { CommitOrder } from "./commit-order.js";
import { createTables, Judge, tables } from "./judge.js";

/** What the cluster needs for the order of its commits to be read. */
export const clusterSettings: Settings = { wal_level: "logical", max_connections: 100 };

export interface ChaosOptions {
  /** Of its own, with `clusterSettings`. */
  readonly cluster: Cluster;
  readonly seed: number;
  readonly seconds: number;
  /** How it goes, now and then. */
  readonly onProgress?: (text: string) => void;
}

export interface Outcome {
  /** What must not be. */
  readonly violations: readonly string[];
  /** Committed. */
  readonly writes: number;
  readonly grants: number;
  readonly faults: Readonly<Record<"frozen" | "killed" | "cut off", number>>;
  /** Of the processes that were not killed. */
  readonly counts: Counts;
}

const WORKERS = 4;
const FAULTS_AT_ONCE = 2;

export async function causeChaos(options: ChaosOptions): Promise<Outcome> {
  const { cluster, seed, seconds, onProgress } = options;
  await migrate(cluster.url);
  const sql = await cluster.sql();
  await createTables(sql);
  const order = await CommitOrder.follow(sql, tables);
  const judge = new Judge();
  const faults = { frozen: 0, killed: 0, "cut off": 0 };
  const seeds = randomFrom(seed);
  const newSeed = (): number => Math.floor(seeds() * 2 ** 32);
  let started = 0;

  const start = async (): Promise<{ readonly name: string; readonly process: WorkerProcess }> => {
    started += 1;
    const args: ChaosWorkerArgs = { url: cluster.url, name: `worker-${started}`, seed: newSeed() };
    return { name: args.name, process: await startWorker("test/stale-writes/chaos-worker.ts", args) };
  };

  const workers = await Promise.all(Array.from({ length: WORKERS }, start));
  const disturbed = new Set<number>();
  const end = performance.now() + seconds * 1_000;
  const isOver = () => performance.now() >= end || judge.violations.length > 0;

  /** What is drawn for a fault does not depend on how long the ones before it took. */
  const disturb = async (random: () => number, first: number): Promise<void> => {
    for (let turn = first; !isOver(); turn += 1) {
      const [pauseMs, whom, what, howLong] = [random() * 500, random(), random(), random()];
      await sleep(pauseMs);
      const index = Math.floor(whom * WORKERS);
      const worker = workers[index];
      if (worker === undefined || disturbed.has(index)) continue;
      disturbed.add(index);
      if (turn % 10 === 3) {
        faults.killed += 1;
        await worker.process.kill();
        workers[index] = await start();
      } else if (what < 0.15) {
        faults["cut off"] += 1;
        await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${`data of ${worker.name}`}`;
      } else {
        faults.frozen += 1;
        worker.process.stop();
        await sleep(20 + howLong ** 4 * 1_500);
        worker.process.cont();
      }
      disturbed.delete(index);
    }
  };
  const watch = async (): Promise<void> => {
    while (!isOver()) {
      await sleep(250);
      judge.hear(await order.next());
      onProgress?.(`${judge.grants} grants, ${judge.writes} guarded writes, ${JSON.stringify(faults)}`);
    }
  };
  const disturbers = Array.from({ length: FAULTS_AT_ONCE }, (_, n) => disturb(randomFrom(newSeed()), n * 5));
  // one that fails must not leave the others alone with a server that goes away
  const ended = await Promise.allSettled([watch(), ...disturbers]);
  const failed = ended.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;

  const all = await Promise.all(workers.map((worker) => worker.process.request<Counts>("stop")));
  judge.hear(await order.next());
  await judge.conclude(sql);
  for (const worker of workers) await worker.process.dispose();
  const counts = add(all);
  const { "wrongly refused": wronglyRefused } = counts;
  const violations = [...judge.violations];
  if (wronglyRefused) violations.push(`${wronglyRefused} guards were refused to a process that held the lock`);
  return { violations, writes: judge.writes, grants: judge.grants, faults, counts };
}

function add(all: readonly Counts[]): Counts {
  const sum: Record<string, number> = {};
  for (const counts of all) for (const [what, n] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + n;
  return sum;
}
