// Looks at advisory locks from outside of the transactions that take them.
import { createHash } from "node:crypto";
import type postgres from "postgres";
import type { Opened, Run } from "../transactions/library.js";

/** The number that the documentation promises for a key. */
export function documentedNumber(key: string): bigint {
  return createHash("sha256").update(key, "utf8").digest().readBigInt64BE(0);
}

/** The modes in which the key is locked, each once for a transaction. */
export async function lockedBy(sql: postgres.Sql, key: string): Promise<string[]> {
  const rows = await sql`
    select mode from pg_locks
     where locktype = 'advisory' and granted and objsubid = 1
       and (classid::bigint << 32 | objid::bigint) = ${String(documentedNumber(key))}
       and database = (select oid from pg_database where datname = current_database())`;
  return rows.map(({ mode }) => mode);
}

/** The server processes that wait for the key, for this long at least. */
export async function waitersOf(sql: postgres.Sql, key: string, ms = 0): Promise<number[]> {
  const rows = await sql`
    select l.pid from pg_locks l join pg_stat_activity a using (pid)
     where locktype = 'advisory' and not granted and objsubid = 1
       and (classid::bigint << 32 | objid::bigint) = ${String(documentedNumber(key))}
       and database = (select oid from pg_database where datname = current_database())
       and clock_timestamp() - a.query_start >= ${ms} * interval '1 millisecond'`;
  return rows.map(({ pid }) => pid);
}

/** Runs it in a transaction of its own. `taken`, or the error that it ended with. */
export async function takeIn(opened: Opened, take: (tx: never, run: Run) => Promise<void>): Promise<unknown> {
  let failure: unknown = "taken";
  await opened
    .plain(async (run, tx) => {
      await take(tx, run).catch((error: unknown) => {
        failure = error;
        throw error;
      });
    })
    .catch(() => undefined);
  return failure;
}

/**
 * Opens a transaction, and resolves when `take` is done in it. Returns what ends it: by a commit, or by a rollback with the error that the
 * body then throws. Not a body around the rest of a test: MikroORM would take what runs in there for a part of the transaction.
 */
export async function hold(
  opened: Opened,
  take: (tx: never, run: Run) => Promise<void>,
): Promise<(error?: Error) => Promise<void>> {
  let finish: (error?: Error) => void = () => undefined;
  const end = new Promise<Error | undefined>((resolve) => {
    finish = resolve;
  });
  let hold: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    hold = resolve;
  });
  const ended = opened.plain(async (run, tx) => {
    await take(tx, run);
    hold();
    const error = await end;
    if (error !== undefined) throw error;
  });
  await Promise.race([held, ended]);
  return async (error) => {
    finish(error);
    await ended;
  };
}
