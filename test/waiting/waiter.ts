// A process that waits in queues. Each wait is by a name of the test's, and told when it was granted.
import postgres from "postgres";
import { createLocker, type Lock, type LockerOptions } from "../../src/index.js";
import { tokenOf } from "../support/lease-row.js";
import { aroundPooler } from "../support/pooler.js";
import { emit, serve } from "../support/worker.js";

export interface WaitArgs {
  readonly key: string;
  readonly name: string;
  /** Keep what was granted; else it is released at once. */
  readonly keeps?: boolean;
}

export interface Grant {
  readonly name: string;
  readonly token: string;
  readonly fence: bigint;
}

serve((options: LockerOptions) => {
  const locker = createLocker({ ...aroundPooler(options.url ?? ""), waitMs: 60_000, ...options });
  const kept = new Map<string, Lock>();
  const sql = postgres(options.url ?? "", { max: 1, onnotice: () => {} });
  const wait = async ({ key, name, keeps = false }: WaitArgs): Promise<Grant> => {
    const lock = await locker.acquire(key);
    const grant = { name, token: await tokenOf(sql, key), fence: lock.fence };
    if (keeps) kept.set(name, lock);
    else await lock.release();
    emit("granted", grant);
    return grant;
  };
  return {
    ready: () => locker.ready(),
    wait,
    /** Does not wait for the grant: see the event. */
    start: (args: WaitArgs) => {
      wait(args).catch((error: unknown) => emit("failed", { name: args.name, error: String(error) }));
    },
    release: (name: string) => kept.get(name)?.release(),
    close: async () => {
      await locker.close();
      await sql.end();
    },
  };
});
