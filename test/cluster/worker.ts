// A process that takes locks of every kind, moves money in guarded transactions, and stands for leader, until it is told to stop.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import {
  type AcquireOptions,
  createLocker,
  type Hold,
  LeaseLostError,
  type Lock,
  NotHeldError,
  StaleFenceError,
} from "../../src/index.js";
import { randomFrom } from "../support/random.js";
import { serve } from "../support/worker.js";
import { DataPool } from "./data-pool.js";
import { accounts, counters, type History, nowMs, type Route, type WriteKind } from "./history.js";
import { Recorder } from "./recorder.js";

export interface ClusterWorkerArgs {
  readonly name: string;
  /** Whose long lock it waits for. */
  readonly next: string;
  readonly route: Route;
  readonly url: string;
  readonly seed: number;
}

/** The defaults of the library, written down as the judge's limits rest on them. */
const requestTimeoutMs = 5_000;
const waitMs = 10_000;
/** How long a worker that stops waits for what it has begun: longer than any limit of a call. */
const PATIENCE_MS = 25_000;

interface Account {
  readonly key: string;
  readonly amount: number;
}

serve<ClusterWorkerArgs>(({ name, next, route, url, seed }) => {
  const random = randomFrom(seed);
  const recorder = new Recorder(name, route);
  const locker = createLocker({ url, owner: name, requestTimeoutMs, waitMs, onError: () => {}, onLost: () => {} });
  const data = new DataPool(url);
  const stopping = new AbortController();
  let writes = 0;

  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const pause = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {});
  const request = <T>(what: string, run: () => Promise<T>) => recorder.call(what, requestTimeoutMs, run);
  const wait = <T>(what: string, run: () => Promise<T>) => recorder.call(what, waitMs + requestTimeoutMs, run);

  /** Again and again; whatever the outage does to a turn. */
  const loop = async (turn: () => Promise<unknown>, restMs: number): Promise<void> => {
    while (!stopping.signal.aborted) {
      await turn().catch(expectKnown);
      await pause(restMs * (0.5 + random()));
    }
  };

  const held = async (lock: Lock, asked: number, capacity: number | null, body: () => Promise<unknown>) => {
    const unwatch = recorder.watch(lock, asked, capacity);
    try {
      await body();
    } finally {
      unwatch();
      await request("release", () => lock.release()).catch(expectKnown);
    }
  };

  const acquire = async (key: string, options: AcquireOptions, body: (lock: Lock) => Promise<unknown>) => {
    const asked = nowMs();
    const { signal, ...rest } = options;
    const lock = await wait("acquire", () => locker.acquire(key, { ...rest, ...(signal && { signal }) }));
    await held(lock, asked, capacityOf(options), () => body(lock));
  };

  const tryAcquire = async (key: string) => {
    const asked = nowMs();
    const lock = await request("tryAcquire", () => locker.tryAcquire(key));
    if (lock !== null) await held(lock, asked, 1, () => pause(random() * 15));
  };

  /** Holds a lock until the end, and takes it again after a loss. */
  const keep = (key: string, options: AcquireOptions) =>
    loop(
      () =>
        acquire(key, options, async (lock) => {
          const end = AbortSignal.any([stopping.signal, lock.signal]);
          if (!end.aborted) await once(end, "abort");
        }),
      200,
    );

  /** Stands in the queue of another worker's lock; without a limit, so not a call that has to settle. */
  const queue = (key: string) =>
    loop(async () => {
      const asked = nowMs();
      const lock = await locker.acquire(key, { waitMs: Number.POSITIVE_INFINITY, signal: stopping.signal });
      await held(lock, asked, 1, () => pause(1_000));
    }, 200);

  /** A guarded transaction that sets each account to what it was plus an amount. `was`: what its client has read before. */
  const write = async (kind: WriteKind, hold: Hold, locks: readonly Lock[], changes: readonly Account[]) => {
    const id = `${name}:${writes++}`;
    const fences = Object.fromEntries(locks.map(({ key, fence }) => [key, fence]));
    const values: Record<string, number> = {};
    const pool = await data.primary();
    // Money is read within the transaction. A counter is read before it, as a careless program does: only the guard is between that
    // and a lost update.
    const was = kind === "transfer" ? null : await read(pool, changes);
    await pause(random() * 15);
    const from = nowMs();
    const settled = (outcome: "committed" | "refused" | "unknown") =>
      recorder.attempt({ id, kind, from, outcome, fences, values: { ...values } });
    try {
      await hold.transaction(pool, async (tx) => {
        const before = was ?? (await read(tx, changes));
        for (const { key, amount } of changes) {
          values[key] = (before[key] ?? 0) + amount;
          await put(tx, { id, key, fence: fences[key] ?? 0n, was: before[key] ?? 0, value: values[key] });
        }
      });
      settled("committed");
    } catch (error) {
      const isRefused = [StaleFenceError, LeaseLostError, NotHeldError].some((kind) => error instanceof kind);
      settled(isRefused ? "refused" : "unknown");
      if (!isRefused) data.forget();
      throw error;
    }
  };

  const transfer = async () => {
    const [source, target] = [pick(accounts), pick(accounts)];
    if (source === target) return;
    const asked = nowMs();
    const set = await wait("acquireAll", () => locker.acquireAll([source, target]));
    const unwatch = set.locks.map((lock) => recorder.watch(lock, asked));
    const amount = 1 + Math.floor(random() * 20);
    try {
      await write("transfer", set, set.locks, [
        { key: source, amount: -amount },
        { key: target, amount },
      ]);
    } finally {
      for (const end of unwatch) end();
      await request("release", () => set.release()).catch(expectKnown);
    }
  };

  const increment = () => {
    const key = pick(counters.slice(0, 2));
    return acquire(key, {}, (lock) => write("increment", lock, [lock], [{ key, amount: 1 }]));
  };

  const lead = () => {
    let campaigningSince = nowMs();
    return locker.lead(
      counters[2] as string,
      async (lock, signal) => {
        const unwatch = recorder.watch(lock, campaigningSince);
        while (!signal.aborted) {
          await write("term", lock, [lock], [{ key: lock.key, amount: 1 }]).catch(expectKnown);
          await sleep(50, undefined, { signal }).catch(() => {});
        }
        unwatch();
        campaigningSince = nowMs();
      },
      { signal: stopping.signal },
    );
  };

  const loops = [
    keep(`long:${name}:30s:1`, { ttlMs: 30_000 }),
    keep(`long:${name}:30s:2`, { ttlMs: 30_000 }),
    keep(`long:${name}:60s:1`, { ttlMs: 60_000 }),
    keep(`long:${name}:60s:2`, { ttlMs: 60_000 }),
    keep("long:all:30s", { ttlMs: 30_000, shared: true }),
    queue(`long:${next}:30s:1`),
    queue(`long:${next}:60s:1`),
    loop(() => acquire(pick(["hot:1", "hot:2"]), {}, () => pause(random() * 10)), 20),
    loop(() => acquire(pick(["read:1", "read:2"]), { shared: true }, () => pause(random() * 20)), 20),
    loop(() => acquire(pick(["read:1", "read:2"]), {}, () => pause(random() * 5)), 150),
    loop(() => acquire("parts", { capacity: 3 }, () => pause(random() * 20)), 20),
    loop(() => tryAcquire(pick(["try:1", "try:2", "try:3"])), 20),
    loop(transfer, 30),
    loop(transfer, 30),
    loop(increment, 50),
    loop(lead, 200),
  ];

  return {
    stop: async (): Promise<History> => {
      stopping.abort();
      await Promise.race([Promise.all(loops), sleep(PATIENCE_MS)]);
      await Promise.race([request("close", () => locker.close()).catch(expectKnown), sleep(PATIENCE_MS)]);
      const history = recorder.end();
      void data.end().catch(() => {});
      return history;
    },
  };
});

function capacityOf({ shared, capacity }: AcquireOptions): number | null {
  if (shared === true) return null;
  return capacity ?? 1;
}

async function read(on: pg.Pool | pg.ClientBase, changes: readonly Account[]): Promise<Record<string, number>> {
  const keys = changes.map(({ key }) => key);
  const { rows } = await on.query("select key, balance::int from accounts where key = any($1)", [keys]);
  return Object.fromEntries(rows.map(({ key, balance }) => [key, balance]));
}

async function put(
  tx: pg.ClientBase,
  row: { id: string; key: string; fence: bigint; was: number; value: number },
): Promise<void> {
  await tx.query(
    `with changed as (update accounts set balance = $5, version = version + 1 where key = $2 returning version)
     insert into writes (id, key, version, fence, was, value) select $1, $2, version, $3, $4, $5 from changed`,
    [row.id, row.key, row.fence, row.was, row.value],
  );
}

/** What a program lives with while its database fails over. Anything else is a bug, and ends the process. */
function expectKnown(error: unknown): void {
  if (!(error instanceof Error)) throw error;
  const code = "code" in error ? String(error.code) : "";
  const isOfLibrary = ["stale-fence", "lease-lost", "not-held", "wait-timeout", "unavailable", "retries-exhausted"];
  if (isOfLibrary.includes(code) || error.name === "AbortError") return;
  // of the server while it stops, starts, or has become a standby; of the network; of node-postgres
  if (/^(57P0\d|57014|25P0\d|25006|08\w{3}|53300|40001|E[A-Z]+)$/.test(code)) return;
  if (/terminated|timeout|not queryable|accepts writes|Connection ended/i.test(error.message)) return;
  throw error;
}
