// A process that reads an account under a lock, and later writes what it made of that, whatever its lock says by then.
import postgres from "postgres";
import { createLocker, type Lock, UnavailableError } from "../../src/index.js";
import { until } from "../support/until.js";
import { serve } from "../support/worker.js";

export interface AccountWorkerArgs {
  readonly url: string;
  readonly key: string;
  readonly ttlMs: number;
}

/** How a balance is written. None of them asks the lock first. */
export type Way =
  | "an update"
  | "an update with the fence"
  | "an update after a guard"
  | "an update after a guard whose refusal is ignored";

export interface Write {
  readonly way: Way;
  readonly amount: number;
}

serve<AccountWorkerArgs>(({ url, key, ttlMs }) => {
  const locker = createLocker({ url, ttlMs, waitMs: 30_000, onError: () => {} });
  // One connection, so that statements without `begin` are in the transaction that was opened before them.
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  let lock: Lock | undefined;
  let balance = 0;

  const fence = (): string => String(lock?.fence);
  const guard = () => sql.unsafe(`select leasehold.guard('${key}', ${fence()})`);
  const update = (amount: number, also = "") =>
    sql.unsafe(`update accounts set balance = ${balance + amount} ${also} where key = '${key}'`);

  const ways: Readonly<Record<Way, (amount: number) => Promise<unknown>>> = {
    "an update": (amount) => update(amount),
    "an update with the fence": (amount) => update(amount, `, fence = ${fence()}`),
    "an update after a guard": async (amount) => {
      await guard();
      return await update(amount);
    },
    "an update after a guard whose refusal is ignored": async (amount) => {
      await sql`savepoint s`;
      await guard().catch(() => sql`rollback to s`);
      return await update(amount);
    },
  };

  return {
    /** Takes the lock, and reads under it. */
    read: async () => {
      lock = await until("a grant that comes before its TTL is over", () => locker.acquire(key).catch(nullIfLate));
      const [row] = await sql`select balance from accounts where key = ${key}`;
      balance = row?.balance;
    },
    begin: async () => void (await sql`begin`),
    guard: async () => void (await guard()),
    /** What it read plus `amount`. */
    write: async ({ way, amount }: Write) => {
      await sql`begin`;
      try {
        await ways[way](amount);
        await sql`commit`;
      } catch (error) {
        await sql`rollback`;
        throw error;
      }
    },
    /** In the transaction that is open. */
    writeOn: async ({ amount }: { amount: number }) => {
      await update(amount);
      await sql`commit`;
    },
    isHeld: () => lock?.held,
    close: async () => {
      await locker.close();
      // without a limit it waits for ever, now and then, when the server had ended the connection
      await sql.end({ timeout: 1 });
    },
  };
});

/** On a busy machine a grant may take longer than its short TTL. */
function nullIfLate(error: unknown): null {
  if (error instanceof UnavailableError) return null;
  throw error;
}
