import type { Lane } from "../connection/lane.js";

/** Who has one of our tables locked, or waits to lock it, so that every statement stands behind that. */
export const FIND_OBSTACLE = `
  select l.pid, l.mode, n.nspname::pg_catalog.text as schema, c.relname::pg_catalog.text as name
    from pg_catalog.pg_locks l
    join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) l.relation
    join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
    join pg_catalog.pg_database d on d.oid operator(pg_catalog.=) l.database
   where d.datname operator(pg_catalog.=) pg_catalog.current_database()
     and n.nspname operator(pg_catalog.=) any ('{leasehold,leasehold_internal}'::pg_catalog.name[])
     and l.mode operator(pg_catalog.=) any ('{AccessExclusiveLock,ExclusiveLock,ShareRowExclusiveLock,ShareLock}'::pg_catalog.text[])
     and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
   order by l.granted desc, l.mode limit 1`;

/** What statements wait for, as a sentence without its full stop; null when no table of ours is locked. */
export async function findObstacle(lane: Lane): Promise<string | null> {
  const [row] = (await lane.read(FIND_OBSTACLE, [])).rows;
  return row === undefined
    ? null
    : `The table ${row.schema}.${row.name} is locked by server process ${row.pid} (${row.mode}): end its transaction, then try again`;
}
