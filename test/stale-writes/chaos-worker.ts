// A process that counts and moves money under locks, carelessly: it never asks a lock whether it is still held, lets some of
// them expire or go before it writes, and rolls back to savepoints. Guards are all that stands between it and a wrong balance.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { createLocker, LeaseholdError, type Lock, StaleFenceError } from "../../src/index.js";
import { randomFrom } from "../support/random.js";
import { serve } from "../support/worker.js";
import { accounts, counters } from "./judge.js";

export interface ChaosWorkerArgs {
  readonly url: string;
  readonly name: string;
  readonly seed: number;
}

/** How often what happened: `written`, `wrongly refused`, `savepoint rolled back`, or the code of an error. */
export type Counts = Readonly<Record<string, number>>;

/** What an operation does besides reading, thinking and writing. */
interface Whims {
  readonly ttlMs: number;
  /** Without it the lock expires now and then, before the guard or after it. */
  readonly keepAlive: boolean;
  readonly thinkMs: number;
  /** After each write, with the transaction open. */
  readonly pauseMs: number;
  /** A moment at which the lock is released: before the transaction, or in it, after its guard. */
  readonly releases: "in the end" | "before" | "within";
  readonly guardsBy: "lock.transaction" | "lock.guard" | "SQL";
  readonly savepoint: "none" | "kept" | "rolled back" | "rolled back, and no guard again";
  readonly fails: boolean;
  /** In the queue; seldom, for a queue waits up to 3 s for a frozen one in it. */
  readonly waits: boolean;
}

const FLOWS = 3;

class GivenUp extends Error {}
class NotFree extends Error {}

serve<ChaosWorkerArgs>(({ url, name, seed }) => {
  const random = randomFrom(seed);
  const locker = createLocker({ url, owner: name, takeoverDelayMs: 1_000, waitMs: 2_000, onError: () => {} });
  // Not postgres.js: its `begin` ends the process, now and then, when the server ends a connection in a transaction.
  const pool = new pg.Pool({ connectionString: url, max: FLOWS, application_name: `data of ${name}` });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const counts: Record<string, number> = {};
  let isStopping = false;

  const count = (what: string): void => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const chance = (share: number): boolean => random() < share;
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const amountOf = (): number => 1 + Math.floor(random() * 20);

  const whims = (): Whims => ({
    ...(chance(0.3)
      ? { ttlMs: 150, keepAlive: false, thinkMs: random() * 160, pauseMs: random() * 120 }
      : {
          ttlMs: pick([400, 400, 400, 2_000]),
          keepAlive: true,
          thinkMs: random() * 10,
          pauseMs: chance(0.5) ? 0 : random() * 10,
        }),
    releases: chance(0.06) ? "before" : chance(0.06) ? "within" : "in the end",
    guardsBy: pick(["lock.transaction", "lock.guard", "SQL", "SQL"]),
    savepoint: chance(0.3) ? pick(["kept", "rolled back", "rolled back, and no guard again"]) : "none",
    fails: chance(0.05),
    waits: chance(0.1),
  });

  const flow = async (): Promise<void> => {
    while (!isStopping) {
      const isTransfer = chance(0.5);
      const [source, target] = [pick(accounts), pick(accounts)];
      if (source === target) continue;
      const changes: readonly (readonly [string, number])[] = isTransfer
        ? transfer(source, target)
        : [[pick(counters), 1]];
      const own = whims();
      const locks: Lock[] = [];
      try {
        for (const [key] of changes) locks.push(await take(key, own));
        await write(
          locks,
          changes.map(([, amount]) => amount),
          own,
        );
        count("written");
      } catch (error) {
        count(codeOf(error));
      }
      for (const lock of locks) await lock.release().catch(() => {});
    }
  };

  const take = async (key: string, { ttlMs, keepAlive, waits }: Whims): Promise<Lock> => {
    if (waits) return await locker.acquire(key, { ttlMs, keepAlive });
    const lock = await locker.tryAcquire(key, { ttlMs, keepAlive });
    if (lock !== null) return lock;
    await sleep(10 * random());
    throw new NotFree();
  };

  const transfer = (source: string, target: string): readonly (readonly [string, number])[] => {
    const amount = amountOf();
    // every worker takes its two locks in the same order, or two of them could wait for each other
    return source < target
      ? [
          [source, -amount],
          [target, amount],
        ]
      : [
          [target, amount],
          [source, -amount],
        ];
  };

  const write = async (locks: readonly Lock[], amounts: readonly number[], own: Whims): Promise<void> => {
    const was = await Promise.all(locks.map(read));
    await sleep(own.thinkMs);
    const [first] = locks as readonly [Lock, ...Lock[]];
    if (own.releases === "before") await first.release().catch(() => {});

    const body = async (tx: pg.ClientBase, guarded: readonly Lock[]): Promise<void> => {
      const guardAll = async () => {
        for (const lock of locks) if (!guarded.includes(lock)) await guard(tx, lock, own);
      };
      if (own.savepoint !== "none") await tx.query("savepoint s");
      await guardAll();
      if (own.savepoint === "kept") await tx.query("release s");
      if (own.savepoint.startsWith("rolled back")) {
        for (const [index, lock] of locks.entries()) await put(tx, lock, was[index] as number, -1_000_000);
        await tx.query("rollback to s");
        count("savepoint rolled back");
        if (own.savepoint === "rolled back") await guardAll();
      }
      if (own.releases === "within") await first.release().catch(() => {});
      for (const [index, lock] of locks.entries()) {
        await put(tx, lock, was[index] as number, amounts[index] as number);
        await sleep(own.pauseMs);
      }
      if (own.fails) throw new GivenUp();
    };

    // Counters have nothing but the guards, so without one they are not written.
    if (own.savepoint === "rolled back, and no guard again" && counters.includes(first.key)) return;
    if (own.guardsBy === "lock.transaction") return await first.transaction(pool, (tx) => body(tx, [first]));
    const tx = await pool.connect();
    try {
      await tx.query("begin");
      await body(tx, []);
      await tx.query("commit");
      tx.release();
    } catch (error) {
      await tx.query("rollback").then(
        () => tx.release(),
        (broken) => tx.release(broken),
      );
      throw error;
    }
  };

  const guard = async (tx: pg.ClientBase, lock: Lock, { guardsBy }: Whims): Promise<void> => {
    try {
      if (guardsBy !== "SQL") await lock.guard(tx);
      else await tx.query("select leasehold.guard($1, $2)", [lock.key, lock.fence]);
    } catch (error) {
      const isRefused = error instanceof StaleFenceError || codeOf(error) === "LH001";
      if (isRefused && lock.held) count("wrongly refused");
      throw error;
    }
  };

  const read = async ({ key }: Lock): Promise<number> => {
    const { rows } = await pool.query(`select value from ${tableOf(key)} where key = $1`, [key]);
    return Number(rows[0]?.value);
  };

  const put = async (tx: pg.ClientBase, { key, fence }: Lock, was: number, amount: number): Promise<void> => {
    const value = was + amount;
    await tx.query("insert into writes (key, fence, was, value, worker) values ($1, $2, $3, $4, $5)", [
      key,
      fence,
      was,
      value,
      name,
    ]);
    await tx.query(`update ${tableOf(key)} set value = $2 where key = $1`, [key, value]);
  };

  const flows = Promise.all(Array.from({ length: FLOWS }, flow));
  return {
    stop: async (): Promise<Counts> => {
      isStopping = true;
      await flows;
      await locker.close();
      await pool.end();
      return counts;
    },
  };
});

function tableOf(key: string): string {
  return counters.includes(key) ? "counters" : "accounts";
}

/** What this process lives with. Anything else is a bug, and ends it. */
function codeOf(error: unknown): string {
  if (error instanceof GivenUp) return "given up";
  if (error instanceof NotFree) return "not free";
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const isPassing =
    error instanceof LeaseholdError
      ? ["stale-fence", "lease-lost", "not-held", "wait-timeout", "unavailable"].includes(code)
      : /^(LH001|LH005|25P0[34]|57P01|57014|E[A-Z]+)$/.test(code);
  if (isPassing) return code;
  if (error instanceof Error && /Connection terminated|not queryable/.test(error.message)) return "connection lost";
  throw error;
}
