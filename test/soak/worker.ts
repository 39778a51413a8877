// A process under the load: a fixed rate of acts, at random moments, and a few things that go on all the time.
import "./timers.js";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { createLocker, LeaseholdError } from "../../src/index.js";
import { randomFrom } from "../support/random.js";
import { emit, serve } from "../support/worker.js";
import { chooseAct, queueShare, type Surroundings } from "./acts.js";
import { Meter, now } from "./report.js";
import { countTimers } from "./timers.js";

export interface WorkerArgs {
  readonly url: string;
  readonly name: string;
  readonly seed: number;
  /** Acts a second, of this process and of all. */
  readonly rate: number;
  readonly totalRate: number;
  readonly isLasting: boolean;
  readonly reportEveryMs: number;
  readonly heapEveryMs: number;
}

/** What is left in the process after everything was ended and closed. */
export interface Left {
  readonly locks: number;
  readonly waits: number;
  readonly timers: number;
  readonly listeners: number;
}

const MOST_IN_FLIGHT = 500;
/** Updates a second without any lock, to compare with. */
const FLOOR_RATE = 4;
const TERM_MS = 5_000;

serve<WorkerArgs>(async ({ url, name, seed, rate, totalRate, isLasting, reportEveryMs, heapEveryMs }) => {
  const random = randomFrom(seed);
  const stopping = new AbortController();
  const { signal } = stopping;
  const meter = new Meter(signal);
  const locker = createLocker({
    url,
    owner: name,
    ttlMs: 10_000,
    takeoverDelayMs: 2_000,
    sweepEveryMs: 10_000,
    onError: () => {},
    onAcquired: () => {
      meter.grants += 1;
    },
  });
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: `data of ${name}` });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  // a third of the time of each queue, of which there are two: the rest is for handing over
  const turnMs = Math.min(150, 330 / ((totalRate * queueShare) / 2));
  const surroundings: Surroundings = { locker, pool, meter, name, random, isLasting, turnMs };
  const inFlight = new Set<Promise<void>>();

  const start = (run: () => Promise<void>): void => {
    const act: Promise<void> = run()
      .then(
        () => {
          meter.done += 1;
        },
        (error) => {
          if (!isByEnd(error)) meter.error(codeOf(error));
        },
      )
      .finally(() => inFlight.delete(act));
    inFlight.add(act);
  };
  const isByEnd = (error: unknown): boolean => signal.aborted && error === signal.reason;

  /** So many a second, at random moments. What was missed, frozen or busy, is not made up for. */
  const atRate = async (perSecond: number, act: () => void): Promise<void> => {
    let dueAt = now();
    while (!signal.aborted) {
      dueAt += (-Math.log(1 - random()) / perSecond) * 1_000;
      if (now() - dueAt > 1_000) dueAt = now();
      if (dueAt > now()) await sleep(dueAt - now());
      act();
    }
  };
  const beginAct = (): void => {
    const act = chooseAct(random());
    if (inFlight.size >= MOST_IN_FLIGHT) meter.skipped += 1;
    else start(() => act.run(surroundings));
  };
  const beginFloor = (): void => {
    start(async () => {
      const since = now();
      await pool.query("update floors set value = value + 1 where name = $1", [name]);
      meter.floor(now() - since);
    });
  };
  /** Leads again and again, for so long each time. */
  const campaign = async (key: string, termMs: number): Promise<void> => {
    while (!signal.aborted) {
      const body = (_: unknown, over: AbortSignal) => sleep(termMs, undefined, { signal: over }).catch(() => {});
      await locker.lead(key, body, { signal }).catch((error) => meter.error(codeOf(error)));
    }
  };
  const report = async (): Promise<void> => {
    while (!signal.aborted) {
      await sleep(reportEveryMs);
      emit("report", meter.report(heapEveryMs));
    }
  };

  await pool.query("insert into floors (name) values ($1)", [name]);
  await locker.ready();
  const loops = [
    atRate(rate, beginAct),
    atRate(FLOOR_RATE, beginFloor),
    campaign("leader", TERM_MS),
    campaign(`kept:${name}`, 2 ** 31 - 1),
    report(),
  ];
  return {
    stop: async (): Promise<Left> => {
      stopping.abort();
      await Promise.all(loops);
      await Promise.all(inFlight);
      const { activeLeases, waiters } = locker.stats();
      // those that were left to expire
      const locks = activeLeases - locker.locks().filter(({ key }) => key.startsWith("new:")).length;
      await locker.close();
      await pool.end();
      return { locks, waits: waiters, timers: countTimers(), listeners: meter.report(0).client.listeners };
    },
  };
});

/** A code of the library's; of anything else what tells it best. */
function codeOf(error: unknown): string {
  if (error instanceof LeaseholdError) return error.code;
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  if (/Connection terminated|not queryable/.test(error.message)) return "connection lost";
  return code || `${error.name}: ${error.message}`.slice(0, 120);
}
