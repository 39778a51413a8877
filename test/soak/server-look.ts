// A look at the server from outside: what grows there if something grows.
import type postgres from "postgres";
import { memoryWithChildren } from "./process-memory.js";
import type { ServerSample, TableSample } from "./samples.js";

/** `pid`: of the postmaster, where it is a server of ours. */
export async function lookAtServer(sql: postgres.Sql, pid: number | undefined): Promise<ServerSample> {
  const [row] = await sql`
    select extract(epoch from pg_postmaster_start_time())::float8 as "startedAt",
           (pg_current_wal_insert_lsn() - '0/0')::float8 as "walBytes",
           pg_database_size(current_database())::float8 / 1024 / 1024 as "databaseMb",
           pg_notification_queue_usage() as "notifyQueue",
           (select count(*)::int from pg_stat_activity
             where datname = current_database() and application_name like 'leasehold%') as connections,
           (select count(*)::int from leasehold.leases) as leases,
           (select count(*)::int from leasehold.shares) as shares,
           (select count(*)::int from leasehold.waiters) as waiters,
           (select count(*)::int from leasehold.sessions) as sessions,
           (select count(*)::int from leasehold.counters) as counters`;
  const tables = await sql<TableSample[]>`
    select c.relname as "table",
           pg_table_size(c.oid)::float8 / 1024 as "tableKb",
           pg_indexes_size(c.oid)::float8 / 1024 as "indexesKb",
           pg_stat_get_dead_tuples(c.oid)::int as "deadRows"
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'leasehold' and c.relkind = 'r'
     order by 1`;
  if (row === undefined) throw new Error("the server answered without a row");
  const { leases, shares, waiters, sessions, counters, ...plain } = row as LookRow;
  const memory = pid === undefined ? null : memoryWithChildren(pid);
  return {
    ...plain,
    privateMb: memory?.privateMb ?? null,
    proportionalMb: memory?.proportionalMb ?? null,
    rows: { leases, shares, waiters, sessions, counters },
    tables: tables.map((table) => ({ ...table })),
  };
}

type LookRow = Pick<ServerSample, "startedAt" | "walBytes" | "databaseMb" | "notifyQueue" | "connections"> &
  ServerSample["rows"];
