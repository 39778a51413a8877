// One run: a steady load with faults, and a sample every few seconds. What it means is said by verdict.ts.

import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { randomFrom } from "../support/random.js";
import { until } from "../support/until.js";
import { aboutMachine } from "./about.js";
import { ACCOUNTS, fixedKeys, newKeyShare } from "./acts.js";
import { causeFaults, type Targets } from "./faults.js";
import type { Fault, Sample, ServerSample, SoakRun } from "./samples.js";
import { lookAtServer } from "./server-look.js";
import { prepare, type SoakSurroundings } from "./surroundings.js";
import { Workers } from "./workers.js";

export interface SoakOptions {
  readonly minutes: number;
  readonly rate: number;
  readonly seed: number;
  readonly url: string | null;
  /** On average. Default 20,000. */
  readonly faultEveryMs?: number;
  /** The load goes on beyond its time until this is so. Default: it is. */
  readonly isEnough?: (samples: readonly Sample[]) => boolean;
  readonly onSample?: (sample: Sample) => void;
  readonly onFault?: (fault: Fault) => void;
  /** With the processes of the workers, and the server's where it is ours. */
  readonly onStart?: (pids: readonly number[]) => void;
}

const WORKERS = 4;
/** As with pg_cron: the shortest retention that there is, so that a run sees many rounds. The lockers sweep besides. */
const [SWEEP_EVERY_MS, RETENTION_S] = [10_000, 60];
/** A row of counters lasts six hours after its process. */
const HOURS_OF_COUNTERS = 6;

export async function soak(options: SoakOptions): Promise<SoakRun> {
  const surroundings = await prepare(options.url, ACCOUNTS);
  try {
    return await runIn(surroundings, options);
  } finally {
    await surroundings.end();
  }
}

async function runIn(surroundings: SoakSurroundings, options: SoakOptions): Promise<SoakRun> {
  const { sql, cluster, proxy, url } = surroundings;
  const { minutes, rate, seed, faultEveryMs = 20_000 } = options;
  const durationMs = minutes * 60_000;
  const sampleEveryMs = Math.min(5_000, Math.max(1_000, durationMs / 240));
  const machine = aboutMachine();
  const problems: string[] = [];
  const faults: Fault[] = [];
  const samples: Sample[] = [];
  const random = randomFrom(seed);
  const workers = await Workers.start({
    url,
    proxyUrl: proxy.url(url),
    count: WORKERS,
    rate,
    seed: Math.floor(random() * 2 ** 32),
    reportEveryMs: sampleEveryMs,
    heapEveryMs: Math.min(30_000, durationMs / 60),
    onProblem: (text) => problems.push(text),
  });
  options.onStart?.([...workers.pids, ...(cluster?.pid === undefined ? [] : [cluster.pid])]);
  const since = performance.now();
  const atS = (): number => Math.round((performance.now() - since) / 100) / 10;
  const over = new AbortController();

  const look = (): Promise<ServerSample | null> => within(10_000, lookAtServer(sql, cluster?.pid)).catch(() => null);
  const sample = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await sleep(sampleEveryMs);
      const server = await look();
      const one: Sample = { atS: atS(), server, machineLoad: loadavg()[0] ?? 0, ...workers.take() };
      proxy.statements.length = 0;
      samples.push(one);
      options.onSample?.(one);
      const isLate = performance.now() - since >= durationMs;
      if (isLate && (options.isEnough?.(samples) ?? true)) over.abort();
    }
  };
  const sweep = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await sleep(SWEEP_EVERY_MS, undefined, { signal: over.signal }).catch(() => {});
      await within(10_000, sweepAll(surroundings)).catch(() => {});
    }
  };
  const note = (what: string): void => {
    const fault = { atS: atS(), what };
    faults.push(fault);
    options.onFault?.(fault);
  };
  const all = [
    sample(),
    sweep(),
    causeFaults(targetsIn(surroundings, workers), { durationMs, everyMs: faultEveryMs }, random, note, over.signal),
  ];
  try {
    // one that fails ends the others, which must not be left alone with a server that goes away
    for (const one of all) one.catch(() => over.abort());
    const failed = (await Promise.allSettled(all)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    await workers.stop();
  } finally {
    await workers.kill();
  }
  problems.push(...(await findLeft(surroundings)));
  const [version] = await sql`show server_version`;
  const about = { ...machine, postgres: `${version?.server_version}`, minutes, rate, seed, workers: WORKERS };
  return { about, samples, faults, explainedRows: explainRows(about, workers.started), problems };
}

function targetsIn({ sql, cluster, proxy }: SoakSurroundings, workers: Workers): Targets {
  return {
    replace: (share) => workers.replace(share),
    freeze: (share, ms) => workers.freeze(share, ms),
    cut: () => proxy.cutAll(),
    async silence(ms) {
      proxy.blackhole();
      await sleep(ms);
      proxy.heal();
    },
    terminate: (share) =>
      within(
        10_000,
        sql`
          select pg_terminate_backend(pid) from (
            select pid, row_number() over (order by pid) as number, count(*) over () as total from pg_stat_activity
             where datname = current_database() and application_name like 'leasehold%') a
           where number = 1 + floor(${share}::float8 * total)::int`,
      ),
    restart: cluster === null ? null : () => cluster.restart("immediate"),
  };
}

async function sweepAll({ sql }: SoakSurroundings): Promise<void> {
  for (;;) {
    const [row] = await sql`select has_more from leasehold.sweep(make_interval(secs => ${RETENTION_S}))`;
    if (!row?.has_more) return;
  }
}

/** What the load explains, with room: each new key until it is swept, twice over, and the keys of a few that were killed. */
function explainRows({ rate, workers, minutes }: SoakRun["about"], started: number): SoakRun["explainedRows"] {
  const sweptAfterS = RETENTION_S + (2 * SWEEP_EVERY_MS) / 1_000;
  return {
    leases: Math.ceil(fixedKeys(workers + 4) + 2 * rate * newKeyShare * sweptAfterS),
    counters: Math.ceil(started + (workers * Math.min(minutes, HOURS_OF_COUNTERS * 60)) / 60) + 1,
  };
}

/** When all lockers are closed. */
async function findLeft({ sql }: SoakSurroundings): Promise<string[]> {
  const count = async () => {
    const [row] = await sql`
      select (select count(*)::int from leasehold.waiters where alive_until > clock_timestamp()) as waiters,
             (select count(*)::int from leasehold.active_leases) as leases,
             (select count(*)::int from pg_stat_activity
               where datname = current_database() and application_name like 'leasehold%') as connections`;
    return Object.entries(row ?? {}).filter(([, left]) => left > 0);
  };
  // leases of those that were killed last, and connections that the server has yet to see closed
  await until("nothing is left", async () => (await count()).length === 0, { timeoutMs: 30_000 }).catch(() => {});
  return (await count()).map(([what, left]) => `${left} ${what} were left when all lockers had been closed`);
}

async function within<T>(ms: number, what: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}
