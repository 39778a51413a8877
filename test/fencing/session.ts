// A connection of the user's own, with a transaction on it where the test wants one.
import type postgres from "postgres";
import { openClient } from "../support/client.js";
import type { TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";

export type Isolation = "read committed" | "repeatable read" | "serializable";

export class Session implements AsyncDisposable {
  readonly sql: postgres.Sql;
  readonly pid: number;

  constructor(sql: postgres.Sql, pid: number) {
    this.sql = sql;
    this.pid = pid;
  }

  /** Statements in one message, without parameters. The rows of the last one. */
  async run(text: string): Promise<postgres.Row[]> {
    const rows = await this.sql.unsafe(text);
    return [...rows];
  }

  async begin(isolation: Isolation = "read committed"): Promise<void> {
    await this.run(`begin isolation level ${isolation}`);
  }

  async commit(): Promise<void> {
    await this.run("commit");
  }

  async rollback(): Promise<void> {
    await this.run("rollback");
  }

  async guard(key: string, fence: bigint, timeout: string | null = null): Promise<void> {
    await this.sql`select leasehold.guard(${key}, ${String(fence)}::bigint, ${timeout}::interval)`;
  }

  async isGuarded(key: string): Promise<boolean> {
    const [row] = await this.sql`select leasehold.is_guarded(${key}) as guarded`;
    return row?.guarded;
  }

  async setting(name: string): Promise<string> {
    const [row] = await this.sql`select current_setting(${name}) as value`;
    return row?.value;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sql.end({ timeout: 0 });
  }
}

export async function openSession(where: TestDatabase | string): Promise<Session> {
  const sql = await openClient(typeof where === "string" ? where : where.url);
  // else Pgpool-II may ask the standby
  const [row] = await sql`/*NO LOAD BALANCE*/ select pg_backend_pid() as pid`;
  return new Session(sql, row?.pid);
}

/** With a transaction open that guards the key. */
export async function openGuard(where: TestDatabase | string, lock: { key: string; fence: bigint }): Promise<Session> {
  const session = await openSession(where);
  await session.begin();
  await session.guard(lock.key, lock.fence);
  return session;
}

/** Until its statement waits in the queue for somebody's lock. */
export async function waitsForLock({ sql }: TestDatabase, { pid }: Session): Promise<void> {
  await until(
    "the statement waits for a lock",
    async () =>
      (await sql`select from pg_stat_activity where pid = ${pid} and wait_event_type = 'Lock' and state = 'active'`)
        .length > 0,
  );
}

/** The lease has expired, though nobody has waited for it. */
export async function expire({ sql }: TestDatabase, key: string): Promise<void> {
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = ${key}`;
}
