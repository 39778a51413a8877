// What must not be left after a test: in this process, and in the databases of its file.
import { setTimeout as sleep } from "node:timers/promises";
import { databases, type TestDatabase } from "./database.js";
import { poolerKind } from "./pooler.js";
import { openResources, type Resource } from "./resources.js";
import { openHandles } from "./watch.js";

export type Rows = "leases" | "shares" | "waiters" | "sessions";

const expected = new Map<TestDatabase, Set<Rows>>();

/** This test leaves such rows on purpose, say of a process that it killed. They are deleted when it has ended. */
export function expectLeft(database: TestDatabase, ...rows: Rows[]): void {
  expected.set(database, new Set([...(expected.get(database) ?? []), ...rows]));
}

export type Baseline = ReadonlySet<object>;

/** What is open before a test: made for the whole file. */
export function baseline(): Baseline {
  expected.clear();
  return new Set([...openHandles().keys(), ...openResources()]);
}

/** Waits until nothing is left that was not there before, and says what is when that takes too long. */
export async function findLeaks(before: Baseline, patienceMs: number): Promise<string[]> {
  const start = performance.now();
  for (;;) {
    const left = [
      ...[...openHandles()].filter(([handle]) => !before.has(handle)).map(([, name]) => name()),
      ...openResources()
        .filter((resource) => !before.has(resource))
        .map((resource) => `${resource.name}: not closed`),
      ...(await Promise.all(reachable().map(findRows))).flat(),
    ];
    if (left.length === 0 || performance.now() - start > patienceMs) return left;
    await sleep(50);
  }
}

/** Closes what a test has left, newest first, and deletes its rows, so that the next test does not see them. */
export async function cleanUp(before: Baseline, all = false): Promise<void> {
  const left: Resource[] = openResources().filter((resource) => !before.has(resource));
  for (const resource of left.reverse()) await resource.dispose();
  for (const database of reachable()) {
    const rows = all ? tables : [...(expected.get(database) ?? [])];
    if (all) await database.sql`select pg_terminate_backend(pid) from pg_stat_activity where ${ours(database)}`;
    for (const table of rows) {
      const [exists] = await database.sql`select to_regclass(${`leasehold.${table}`}::text) as found`;
      if (exists?.found) await database.sql`delete from leasehold.${database.sql(table)}`;
    }
  }
}

const tables: readonly Rows[] = ["leases", "shares", "waiters", "sessions"];

// the constants of the presence lock and of the guard of inserts, spelt out: a test that imports them would not see them change
const lockClasses = [1279480140, 1279480141, 1279480142];

async function findRows(database: TestDatabase): Promise<string[]> {
  const { sql } = database;
  const left = (rows: Rows) => !expected.get(database)?.has(rows);
  const found: string[] = [];
  const note = (result: readonly { what?: string }[]) => void found.push(...result.map(({ what }) => `${what}`));
  const [has] =
    await sql`select to_regclass('leasehold.leases') is not null and to_regclass('leasehold.waiters') is not null
    and to_regclass('leasehold.sessions') is not null and to_regclass('leasehold.shares') is not null as tables`;
  if (has?.tables) {
    if (left("leases"))
      note(
        await sql`select format('lease %s of %s', key, owner) as what from leasehold.leases where token is not null`,
      );
    if (left("shares"))
      note(
        await sql`select format('share of %s of %s', key, owner) as what from leasehold.shares where released_at is null`,
      );
    if (left("waiters"))
      note(await sql`select format('waiter on %s of %s', key, owner) as what from leasehold.waiters`);
    if (left("sessions")) note(await sql`select format('session %s of %s', id, owner) as what from leasehold.sessions`);
  }
  note(
    await sql`select format('connection "%s" (%s): %s', application_name, state, query) as what from pg_stat_activity where ${ours(database)}
      and (state <> 'idle' or not ${poolerKind() !== undefined}::boolean)`, // a pooler keeps those that nobody uses
  );
  note(
    await sql`select format('advisory lock (%s, %s) of pid %s', classid, objid, pid) as what from pg_locks
      where locktype = 'advisory' and granted and classid::bigint in ${sql(lockClasses)}
        and database = (select oid from pg_database where datname = current_database())`,
  );
  return found.map((what) => `${what}, in ${database.name}`);
}

function ours({ sql }: TestDatabase): ReturnType<TestDatabase["sql"]> {
  return sql`datname = current_database() and application_name like 'leasehold%'` as ReturnType<TestDatabase["sql"]>;
}

/** Without those on clusters that are stopped or destroyed. */
function reachable(): TestDatabase[] {
  return databases().filter(({ cluster }) => !cluster || cluster.pid !== undefined);
}
