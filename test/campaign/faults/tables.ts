// What strangers and administrators do in the tables.
import { setTimeout as sleep } from "node:timers/promises";
import type postgres from "postgres";
import { migrate as migrateAgain } from "../../support/migrate.js";
import { type Draw, lengthMs, pick } from "../draw.js";
import { allKeys } from "../keys.js";
import { type Stage, withSuperuser } from "../stage.js";
import type { Fault } from "./fault.js";

/** A server that is away at that moment has no such fault. */
function inTables(work: (stage: Stage, draw: Draw, sql: postgres.Sql) => Promise<void>): Fault {
  return {
    of: "tables",
    run: (stage, draw) => withSuperuser(stage, (sql) => work(stage, draw, sql)).catch(() => {}),
  };
}

/** Rolls back in the end, or before that when the server goes. */
async function inTransaction(
  sql: postgres.Sql,
  ms: number,
  statement: string,
  parameters: readonly string[] = [],
): Promise<void> {
  await sql.unsafe("begin");
  await sql.unsafe("set local lock_timeout = '2s'");
  await sql.unsafe(statement, [...parameters]);
  await sleep(ms);
  await sql.unsafe("rollback");
}

async function during(end: () => void, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    end();
  }
}

export const tableLock: Fault = inTables((stage, draw, sql) => {
  const table = pick(["leases", "waiters", "sessions", "shares"], draw.detail);
  const mode = pick(["access exclusive", "exclusive", "share", "share row exclusive"], draw.variant);
  const end = stage.journal.begin({ fault: "table lock", on: [], during: `${table}, ${mode}` });
  return during(end, () =>
    inTransaction(sql, lengthMs(draw.length, 50, 1_500), `lock table leasehold.${table} in ${mode} mode`),
  );
});

export const rowLock: Fault = inTables((stage, draw, sql) => {
  const key = pick(allKeys(stage.keys), draw.whom);
  const table = draw.detail < 0.75 ? "leases" : "shares";
  const strength = pick(["update", "no key update", "share", "key share"], draw.variant);
  const end = stage.journal.begin({ fault: "row lock", on: [], key, during: `${table}, for ${strength}` });
  return during(end, () =>
    inTransaction(
      sql,
      lengthMs(draw.length, 50, 4_000),
      `select from leasehold.${table} where key = $1 for ${strength}`,
      [key],
    ),
  );
});

/** Somebody's first grant of a key that is never committed. */
export const uncommittedInsert: Fault = inTables((stage, draw, sql) => {
  const key = pick(stage.keys.exclusive, draw.whom);
  const end = stage.journal.begin({ fault: "uncommitted insert", on: [], key });
  return during(end, () =>
    inTransaction(
      sql,
      lengthMs(draw.length, 50, 4_000),
      `with gone as (delete from leasehold.leases where key = $1 and token is null and not queued
          and hold_until is null returning 1)
       select * from leasehold.try_acquire($1)`,
      [key],
    ),
  );
});

/** A transaction that guards a key outlives its connection. */
export const preparedGuard: Fault = inTables(async (stage, draw, sql) => {
  const key = pick(stage.keys.accounts, draw.whom);
  const [lease] = await sql`select fence::text from leasehold.leases where key = ${key} and token is not null`;
  if (lease === undefined) return;
  const name = `campaign ${process.hrtime.bigint()}`;
  const end = stage.journal.begin({ fault: "prepared guard", on: [], key });
  await during(end, async () => {
    await sql.unsafe("begin");
    await sql`select leasehold.guard(${key}, ${lease.fence}::text::bigint)`;
    await sql.unsafe(`prepare transaction '${name}'`);
    await sleep(lengthMs(draw.length, 100, 3_000));
    await finishPrepared(stage, name);
  });
});

async function finishPrepared(stage: Stage, name: string): Promise<void> {
  for (let n = 0; n < 100; n += 1) {
    const isDone = await withSuperuser(stage, (sql) => sql.unsafe(`rollback prepared '${name}'`)).then(
      () => true,
      (error) => (error as { code?: string }).code === "42704", // a standby that was promoted never heard of it
    );
    if (isDone) return;
    await sleep(100);
  }
}

export const vacuumFull: Fault = inTables((stage, draw, sql) => {
  const table = pick(["leases", "waiters", "sessions", "shares"], draw.detail);
  const end = stage.journal.begin({ fault: "vacuum full", on: [], during: table });
  return during(end, async () => {
    await sql.unsafe("set lock_timeout = '2s'");
    await sql.unsafe(`vacuum full leasehold.${table}`);
  });
});

/** Holds back what vacuum may remove, and has a snapshot of before. */
export const longTransaction: Fault = inTables((stage, draw, sql) => {
  const end = stage.journal.begin({ fault: "long transaction", on: [] });
  return during(end, async () => {
    await sql.unsafe("begin isolation level repeatable read");
    await sql.unsafe("select count(*) from leasehold.leases");
    await sleep(lengthMs(draw.length, 500, 8_000));
    await sql.unsafe("rollback");
  });
});

export const forcedRelease: Fault = inTables((stage, draw, sql) => {
  const key = pick(allKeys(stage.keys), draw.whom);
  const end = stage.journal.begin({ fault: "forced release", on: [], key });
  return during(end, async () => {
    await sql`select * from leasehold.force_release(${key})`;
  });
});

export const sweep: Fault = inTables((stage, draw, sql) => {
  const end = stage.journal.begin({ fault: "sweep", on: [] });
  return during(end, async () => {
    await sql`select * from leasehold.sweep(${draw.variant < 0.5 ? "5 minutes" : "10 minutes"}::text::interval)`;
  });
});

export const migration: Fault = inTables((stage) => {
  const end = stage.journal.begin({ fault: "migration", on: [] });
  return during(end, () => migrateAgain(stage.primary.url));
});

/** For the connections that are made from now on. */
export const roleSettings: Fault = inTables((stage, draw, sql) => {
  const [name, value] = pick(
    [
      ["default_transaction_isolation", "repeatable read"],
      ["default_transaction_isolation", "serializable"],
      ["default_transaction_read_only", "on"],
      ["statement_timeout", "50ms"],
      ["lock_timeout", "5ms"],
      ["idle_session_timeout", "300ms"],
      ["idle_in_transaction_session_timeout", "20ms"],
      ["search_path", "pg_temp"],
      ["synchronous_commit", "off"],
      ["enable_indexscan", "off"],
      ["DateStyle", "German, DMY"],
      ["TimeZone", "Pacific/Chatham"],
    ] as const,
    draw.variant,
  );
  const end = stage.journal.begin({ fault: "role settings", on: [], during: `${name} = ${value}` });
  return during(end, async () => {
    await sql.unsafe(`alter role campaign set ${name} = '${value}'`);
    const actor = stage.actors[Math.floor(draw.whom * stage.actors.length)];
    actor?.proxy.cutAll();
    await sleep(lengthMs(draw.length, 500, 4_000));
    await withSuperuser(stage, (again) => again.unsafe(`alter role campaign reset ${name}`));
  });
});
