// A philosopher: eats with a set of keys, or one key, again and again, and tells the witness.
import postgres from "postgres";
import { createLocker, type LockerOptions } from "../../src/index.js";
import { enter, leave } from "../support/witness.js";
import { serve } from "../support/worker.js";

interface Args {
  readonly url: string;
  readonly options?: LockerOptions;
}

export interface Meals {
  /** What each meal of each philosopher takes. One key: a single acquire. */
  readonly plans: readonly (readonly (readonly string[])[])[];
}

serve<Args>(({ url, options }) => {
  const locker = createLocker({ url, waitMs: 240_000, ...options });
  const sql = postgres(url, { max: 4, onnotice: () => {} });
  return {
    /** How many meals there were. */
    eat: async ({ plans }: Meals) => {
      let meals = 0;
      const eat = async (plan: Meals["plans"][number]) => {
        for (const keys of plan) {
          const hold = keys.length === 1 ? await locker.acquire(keys[0] as string) : await locker.acquireAll(keys);
          const locks = "locks" in hold ? hold.locks : [hold];
          for (const { key, fence } of locks) await enter(sql, key, fence);
          hold.assertHeld();
          for (const { key } of locks) await leave(sql, key);
          await hold.release();
          meals += 1;
        }
      };
      await Promise.all(plans.map((plan) => eat(plan)));
      return meals;
    },
    close: async () => {
      await locker.close();
      await sql.end();
    },
  };
});
