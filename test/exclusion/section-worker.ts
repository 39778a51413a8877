// Enters the critical sections of some keys again and again, and tells the witness.
import postgres from "postgres";
import { createLocker, type LockerOptions } from "../../src/index.js";
import { enter, leave } from "../support/witness.js";
import { serve } from "../support/worker.js";

interface Args {
  readonly url: string;
  readonly options?: LockerOptions;
}

interface Load {
  readonly keys: readonly string[];
  readonly loops: number;
  readonly rounds: number;
}

serve<Args>(({ url, options }) => {
  const locker = createLocker({ url, waitMs: Number.POSITIVE_INFINITY, ...options });
  const sql = postgres(url, { max: 4, onnotice: () => {} });
  return {
    /** How many sections it was in, by acquire and by tryAcquire. */
    run: async ({ keys, loops, rounds }: Load) => {
      const counts = { waited: 0, tried: 0 };
      const loop = async (start: number) => {
        for (let round = 0; round < rounds; round += 1) {
          const key = keys[(start + round) % keys.length] as string;
          const isTry = round % 4 === 3;
          const lock = isTry ? await locker.tryAcquire(key) : await locker.acquire(key);
          if (lock === null) continue;
          await enter(sql, key, lock.fence);
          lock.assertHeld();
          await leave(sql, key);
          counts[isTry ? "tried" : "waited"] += 1;
          await lock.release();
        }
      };
      await Promise.all(Array.from({ length: loops }, (_, index) => loop(index)));
      return counts;
    },
    close: async () => {
      await locker.close();
      await sql.end();
    },
  };
});
