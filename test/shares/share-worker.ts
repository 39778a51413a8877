// Comes into the sections of some keys again and again, alone, as a reader, and with a part of a semaphore whose capacity changes.
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { createLocker, type Lock, type LockerOptions, type ShareOptions } from "../../src/index.js";
import { randomFrom } from "../support/random.js";
import { serve } from "../support/worker.js";
import { type Holding, record } from "./oracle.js";

interface Args {
  readonly url: string;
  readonly options?: LockerOptions;
}

interface Load {
  readonly keys: readonly string[];
  readonly loops: number;
  readonly rounds: number;
  readonly seed: number;
}

serve<Args>(({ url, options }) => {
  const locker = createLocker({ url, waitMs: Number.POSITIVE_INFINITY, onError: () => {}, ...options });
  const sql = postgres(url, { max: 4, onnotice: () => {} });
  return {
    /** How many sections it was in, of each sort, and how many waits it gave up. */
    run: async ({ keys, loops, rounds, seed }: Load) => {
      const counts = { exclusive: 0, shared: 0, semaphore: 0, refused: 0, cancelled: 0 };
      const loop = async (number: number) => {
        const next = randomFrom(seed * 1_000 + number);
        for (let round = 0; round < rounds; round += 1) {
          const key = keys[Math.floor(next() * keys.length)] as string;
          const share = chooseShare(next);
          const lock = await ask(key, share, next);
          if (typeof lock === "string") {
            counts[lock] += 1;
            continue;
          }
          const holding: Holding = {
            key,
            fence: String(lock.fence),
            weight: lock.mode === "exclusive" ? null : lock.weight,
            capacity: share.capacity ?? null,
          };
          await record(sql, "enters", holding);
          if (next() < 0.3) await sleep(next() * 10);
          lock.assertHeld();
          await record(sql, "leaves", holding);
          counts[lock.mode] += 1;
          await lock.release();
        }
      };
      const ask = async (
        key: string,
        share: ShareOptions,
        next: () => number,
      ): Promise<Lock | "refused" | "cancelled"> => {
        const chance = next();
        if (chance < 0.2) return (await locker.tryAcquire(key, share)) ?? "refused";
        if (chance < 0.35) {
          const signal = AbortSignal.timeout(1 + Math.floor(next() * 20));
          return await locker.acquire(key, { ...share, signal }).catch((error) => {
            if (!signal.aborted) throw error;
            return "cancelled" as const;
          });
        }
        return await locker.acquire(key, share);
      };
      await Promise.all(Array.from({ length: loops }, (_, number) => loop(number)));
      return counts;
    },
    close: async () => {
      await locker.close();
      await sql.end();
    },
  };
});

function chooseShare(next: () => number): ShareOptions {
  const chance = next();
  if (chance < 0.15) return {};
  if (chance < 0.55) return { shared: true };
  const capacity = 1 + Math.floor(next() * 6);
  return { capacity, weight: 1 + Math.floor(next() * capacity) };
}
