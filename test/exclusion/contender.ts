// A process with two lockers that takes and leaves one key in every way there is, and writes down what it saw.
import { createLocker, type Lock, type Locker, type LockerOptions } from "../../src/index.js";
import { openClient } from "../support/client.js";
import { serve } from "../support/worker.js";

export interface ContendArgs {
  readonly key: string;
  readonly forMs: number;
  /** Whether some of them wait in the queue. Where all only try, they run into each other at every release. */
  readonly waits: boolean;
  /** Flows of each locker. */
  readonly flows: number;
}

export interface Contention {
  readonly grants: number;
  readonly tries: number;
  readonly renewals: number;
}

serve(async (options: LockerOptions & { readonly url: string }) => {
  const lockers = [createLocker(options), createLocker(options)];
  // All their connections stand from the start: the one for renewals is made with the first of these.
  await Promise.all(lockers.map((locker, n) => locker.withLock(`${process.pid} ${n}`, (lock) => lock.renew())));
  const sql = await openClient(options.url);
  await sql`set synchronous_commit = off`; // the witness need not be durable, only there

  /** Two at once would collide on the primary key. */
  const criticalSection = async (lock: Lock, renews: boolean): Promise<void> => {
    lock.assertHeld();
    await sql`insert into public.inside (key, fence) values (${lock.key}, ${String(lock.fence)}::bigint)`;
    await sql`insert into public.entered (key, fence) values (${lock.key}, ${String(lock.fence)}::bigint)`;
    if (renews) await lock.renew();
    await sql`delete from public.inside where key = ${lock.key} and fence = ${String(lock.fence)}::bigint`;
    lock.assertHeld();
  };

  const contend = async ({ key, forMs, waits, flows }: ContendArgs): Promise<Contention> => {
    const seen = { grants: 0, tries: 0, renewals: 0 };
    const end = performance.now() + forMs;
    const flow = async (locker: Locker, index: number): Promise<void> => {
      for (let turn = index; performance.now() < end; turn += 1) {
        const tries = !waits || turn % 3 === 0;
        const renews = turn % 4 === 0;
        const lock = tries ? await locker.tryAcquire(key) : await locker.acquire(key, { waitMs: 60_000 });
        seen.tries += tries ? 1 : 0;
        if (lock === null) continue;
        await criticalSection(lock, renews);
        seen.grants += 1;
        seen.renewals += renews ? 1 : 0;
        await lock.release();
      }
    };
    await Promise.all(lockers.flatMap((locker) => Array.from({ length: flows }, (_, index) => flow(locker, index))));
    return seen;
  };

  return {
    contend,
    close: async () => {
      await Promise.all(lockers.map((locker) => locker.close()));
      await sql.end();
    },
  };
});
