// What a worker does, and how often beside the others. Everything that a user can do with keys is among it, and every way in which a
// call can end: granted, refused, out of time, cancelled, left to expire.
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { AcquireOptions, Lock, Locker, ShareOptions } from "../../src/index.js";
import { type Meter, now } from "./report.js";

export interface Surroundings {
  readonly locker: Locker;
  readonly pool: pg.Pool;
  readonly meter: Meter;
  /** Different for every process that ever was in this run. */
  readonly name: string;
  readonly random: () => number;
  /** Whether it takes part in the queue that is measured: one that is killed would take its turns with it. */
  readonly isLasting: boolean;
  /** How long a turn in a queue is held, so that the key is held for a third of the time. */
  readonly turnMs: number;
}

interface Act {
  readonly name: string;
  /** Of all acts, in percent. */
  readonly share: number;
  run(on: Surroundings): Promise<void>;
}

/** Each worker has so many keys of its own, one after the other: nobody else asks for them. */
const FREE_KEYS = 100;
const [HELD_KEYS, DOCUMENTS, SLOTS, PARTS] = [30, 10, 3, 20];
export const ACCOUNTS = 20;
/** Rows of `leases` for all keys that are asked for again and again. */
export const fixedKeys = (workers: number): number =>
  workers * (FREE_KEYS + 1) + HELD_KEYS + DOCUMENTS + SLOTS + PARTS + ACCOUNTS + 3;

/** The key of the queue that is measured. */
export const MEASURED = "line:measured";

let counter = 0;
const next = (): number => {
  counter += 1;
  return counter;
};

export const acts: readonly Act[] = [
  {
    name: "a free key",
    share: 36,
    async run({ locker, meter, name }) {
      const key = `free:${name}:${next() % FREE_KEYS}`;
      const askedAt = now();
      const lock = await locker.acquire(key, { signal: meter.signal });
      await lock.release();
      meter.cycle(now() - askedAt);
    },
  },
  {
    name: "a key that was never there",
    share: 18,
    async run({ locker, meter, name, random }) {
      const share: ShareOptions = random() < 0.7 ? {} : random() < 0.5 ? { shared: true } : { capacity: 2 };
      const isLeft = random() < 0.1;
      const key = `new:${name}:${next()}`;
      const term = isLeft ? { ttlMs: 500, keepAlive: false } : {};
      const lock = await locker.acquire(key, { ...share, ...term, signal: meter.signal });
      if (!isLeft) await lock.release();
    },
  },
  {
    name: "a queue",
    share: 12,
    async run(on) {
      const key = on.isLasting && on.random() < 0.7 ? MEASURED : "line:all";
      const askedAt = now();
      const lock = await on.locker.acquire(key, { waitMs: 30_000, signal: on.meter.signal });
      const grantedAt = now();
      await sleep(on.turnMs * (0.5 + on.random()));
      const endedAt = now();
      let isReleased = false;
      try {
        await lock.release();
        isReleased = true;
      } finally {
        if (key === MEASURED) on.meter.turn({ key, askedAt, grantedAt, endedAt, isReleased });
      }
    },
  },
  {
    name: "a read lock, or a write lock beside it",
    share: 8,
    run: (on) => hold(on, `document:${pick(on, DOCUMENTS)}`, 15, on.random() < 0.9 ? { shared: true } : {}),
  },
  {
    name: "a part of a semaphore",
    share: 6,
    run: (on) => hold(on, `slots:${pick(on, SLOTS)}`, 25, { capacity: 4, weight: 1 + pick(on, 2) }),
  },
  {
    name: "three keys at once",
    share: 4,
    async run(on) {
      const keys = Array.from({ length: 3 }, () => `part:${pick(on, PARTS)}`);
      const locks = await on.locker.acquireAll(keys, { signal: on.meter.signal });
      await sleep(10);
      await locks.release();
    },
  },
  {
    name: "a guarded transaction",
    share: 5,
    async run(on) {
      const account = pick(on, ACCOUNTS);
      await on.locker.withLock(
        `account:${account}`,
        async (lock) => {
          if (on.random() < 0.25) await on.locker.checkFence(`account ${account}`, lock.fence);
          await lock.transaction(on.pool, (tx) =>
            tx.query("update accounts set value = value + 1, fence = $2 where id = $1", [account, lock.fence]),
          );
        },
        { signal: on.meter.signal },
      );
    },
  },
  {
    name: "a hold of some seconds, with renewals",
    share: 1.5,
    async run({ locker, meter, random }) {
      const key = `held:${Math.floor(random() * HELD_KEYS)}`;
      const lock = await locker.tryAcquire(key, { ttlMs: 3_000, signal: meter.signal });
      if (lock === null) return;
      await sleep(3_000 + random() * 5_000, undefined, { signal: meter.signal }).catch(() => {});
      await lock.release();
    },
  },
  {
    name: "a lock that is handed over",
    share: 1.5,
    async run({ locker, meter, name }) {
      const lock = await locker.acquire(`free:${name}:${next() % FREE_KEYS}`, { signal: meter.signal });
      await (await locker.adopt(await lock.detach())).release();
    },
  },
  {
    name: "a try in vain",
    share: 3,
    async run({ locker, meter, name }) {
      await giveBack(await locker.tryAcquire(`kept:${name}`, { signal: meter.signal }));
    },
  },
  {
    name: "a wait that runs out of time",
    share: 2,
    run: (on) => waitInVain(on, { waitMs: 200, signal: on.meter.signal }),
  },
  {
    name: "a wait that is cancelled",
    share: 2,
    run: (on) => waitInVain(on, { signal: AbortSignal.timeout(150) }),
  },
  {
    name: "a look at who holds a key",
    share: 1,
    async run({ locker, name }) {
      await locker.check(`kept:${name}`);
    },
  },
];

/** `random`: from 0 to below 1. */
export function chooseAct(random: number): Act {
  let left = random * acts.reduce((sum, { share }) => sum + share, 0);
  return acts.find(({ share }) => {
    left -= share;
    return left < 0;
  }) as Act;
}

/** Keys that are new, of all acts. */
export const newKeyShare: number = shareOf("a key that was never there");
/** Turns in a queue, of all acts. */
export const queueShare: number = shareOf("a queue");

function shareOf(name: string): number {
  const total = acts.reduce((sum, { share }) => sum + share, 0);
  return (acts.find((act) => act.name === name)?.share ?? 0) / total;
}

async function hold({ locker, meter }: Surroundings, key: string, ms: number, share: ShareOptions): Promise<void> {
  const lock = await locker.acquire(key, { ...share, signal: meter.signal });
  await sleep(ms);
  await lock.release();
}

/** For a key that this process keeps: granted only while that is lost. */
async function waitInVain({ locker, name }: Surroundings, options: AcquireOptions): Promise<void> {
  try {
    await giveBack(await locker.acquire(`kept:${name}`, options));
  } catch (error) {
    const { name: kind, code } = error as { name: string; code?: unknown };
    if (kind !== "TimeoutError" && code !== "wait-timeout") throw error;
  }
}

async function giveBack(lock: Lock | null): Promise<void> {
  await lock?.release();
}

function pick({ random }: Surroundings, count: number): number {
  return Math.floor(random() * count);
}
