// A process with two lockers that do all sorts of things to a few keys that other processes want, too.
import { createLocker, type Locker } from "../../src/index.js";
import { serve } from "../support/worker.js";

serve<{ readonly url: string; readonly number: number }>(({ url, number }) => {
  const lockers = [1, 2].map(() => createLocker({ url, statsFlushMs: 100, waitMs: 50, onError: () => {} }));
  return {
    async work({ cycles }: { readonly cycles: number }) {
      await Promise.all(lockers.map((locker) => work(locker, cycles)));
    },
    stats: () => lockers.map((locker) => locker.stats()),
    async close() {
      await Promise.all(lockers.map((locker) => locker.close()));
      return lockers.map((locker) => locker.stats());
    },
  };

  async function work(locker: Locker, cycles: number): Promise<void> {
    await Promise.all(
      [1, 2].map(async () => {
        for (let cycle = 0; cycle < cycles; cycle += 1) {
          const key = Math.random() < 0.3 ? `worker-${number}:1` : `shared:${Math.floor(Math.random() * 4)}`;
          const body = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
          if (cycle % 3 === 0) await locker.tryWithLock(key, body);
          else await locker.withLock(key, body).catch(() => undefined);
          if (cycle % 10 === 0) await locker.check(key);
        }
      }),
    );
  }
});
