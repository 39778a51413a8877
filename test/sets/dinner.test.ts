// The dining philosophers: many sets of random keys over several processes, and single acquires among them.
import { expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { seeded } from "../support/random.js";
import { createWitness, verdict } from "../support/witness.js";

const processes = 3;
const philosophers = 4;
const meals = process.env.LEASEHOLD_LONG ? 100 : 8;

test.each([5, 50])(
  "everybody eats with %i keys on the table, nobody with a key of another, and nothing deadlocks",
  async (size) => {
    // A server of its own: its log is read for deadlocks.
    const cluster = await startCluster({ settings: { log_min_messages: "error", deadlock_timeout: "50ms" } });
    try {
      const database = await createDatabase({ on: cluster });
      const { sql } = database;
      await createWitness(sql);
      const random = seeded(`dinner with ${size} keys`);
      const keys = Array.from({ length: size }, (_, index) => `fork:${index}`);
      const meal = (): string[] => {
        const wanted = random() < 0.2 ? 1 : 2 + Math.floor(random() * 4);
        // In the order of the call, which is any.
        return Array.from({ length: wanted }, () => keys[Math.floor(random() * size)] as string);
      };
      const plans = Array.from({ length: processes }, () =>
        Array.from({ length: philosophers }, () => Array.from({ length: meals }, meal)),
      );
      const workers = await Promise.all(
        ["on", "on", "off"].map((presence) =>
          startWorker("test/sets/diner.ts", { url: database.url, options: { presence } }),
        ),
      );
      const eaten = await Promise.all(
        workers.map((worker, index) => worker.request<number>("eat", { plans: plans[index] }, { timeoutMs: 270_000 })),
      );
      for (const worker of workers) {
        await worker.request("close");
        await worker.dispose();
      }
      const seen = await verdict(sql);
      const [stat] = await sql`select deadlocks::int from pg_stat_database where datname = current_database()`;
      const [left] = await sql`
      select (select count(*)::int from leasehold.waiters) as waiters, (select count(token)::int from leasehold.leases) as held`;
      const entries = plans.flat(2).reduce((sum, one) => sum + new Set(one).size, 0);
      expect(eaten).toEqual(workers.map(() => philosophers * meals));
      expect(seen).toEqual({ entries, clashes: 0, inversions: 0, inside: 0 });
      expect(stat).toEqual({ deadlocks: 0 });
      expect(left).toEqual({ waiters: 0, held: 0 });
    } finally {
      await cluster.destroy();
    }
  },
  300_000,
);
