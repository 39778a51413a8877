import { sleep } from "../../runtime/clock.js";
import type { MigrationConnection } from "./migrate-state.js";

/** How long a migration waits before somebody asks for what. */
const PATIENCE_MS = 1_000;
/** An attempt waits no longer than a second for a table, and then pauses: this meets each of them. */
const EVERY_MS = 500;

/** Where a migration is: filled in by the one who migrates, read by the one who watches. */
export interface Progress {
  isCommitting: boolean;
  /** The server process of the attempt. */
  pid: number | null;
  /** Who was in the way when it waited last, in words; null when that is not known. */
  inTheWay: string | null;
}

export interface Watch {
  readonly connect: () => MigrationConnection | Promise<MigrationConnection>;
  readonly progress: Progress;
  readonly limitMs: number;
  /** Called with each that is found in the way. */
  readonly onWait: (inTheWay: string) => void;
}

/**
 * Finds out who a migration waits for, on a connection of its own: that of the migration is busy waiting. Made only once that has
 * taken a while. Without a connection to be had, the migration goes on unwatched. Returns what ends it.
 */
export function watchMigration({ connect, progress, limitMs, onWait }: Watch): () => Promise<void> {
  const end = new AbortController();
  const pause = (ms: number): Promise<void> => sleep(ms, { signal: end.signal });
  let connection: MigrationConnection | null = null;

  async function watch(): Promise<void> {
    await pause(Math.min(PATIENCE_MS, limitMs / 3));
    if (end.signal.aborted) return;
    connection = await connect();
    while (!end.signal.aborted) {
      const found = progress.pid === null ? null : await findInTheWay(connection, progress.pid);
      if (found !== null && found !== progress.inTheWay) {
        progress.inTheWay = found;
        onWait(found);
      }
      await pause(EVERY_MS);
    }
  }

  const watching = watch().catch(() => undefined);
  return async () => {
    end.abort();
    connection?.destroy();
    await watching;
    connection?.destroy(); // one that was being made meanwhile
  };
}

const same = (column: string): string =>
  `coalesce(h.${column}::pg_catalog.text, '') operator(pg_catalog.=) coalesce(w.${column}::pg_catalog.text, '')`;

/** Those that have the lock, not those that wait for it in front of this one. */
const IN_THE_WAY = `
  select w.locktype, h.pid, p.gid, a.application_name as application, a.usename::pg_catalog.text as role, a.state,
         case when c.oid is not null then pg_catalog.format('%I.%I', n.nspname, c.relname) end as relation
    from pg_catalog.pg_locks w
    join pg_catalog.pg_locks h
      on h.granted and coalesce(h.pid, 0) operator(pg_catalog.=) any (pg_catalog.pg_blocking_pids(w.pid))
     and ${["locktype", "database", "relation", "transactionid", "classid", "objid", "objsubid"].map(same).join(" and ")}
    left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) h.pid
    left join pg_catalog.pg_locks x
      on h.pid is null and x.granted and x.locktype operator(pg_catalog.=) 'transactionid'
     and x.virtualtransaction operator(pg_catalog.=) h.virtualtransaction
    left join pg_catalog.pg_prepared_xacts p on p.transaction operator(pg_catalog.=) x.transactionid
    left join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) w.relation
    left join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
   where w.pid operator(pg_catalog.=) $1::pg_catalog.text::integer and not w.granted
   order by h.pid
   limit 1`;

async function findInTheWay(connection: MigrationConnection, pid: number): Promise<string | null> {
  const [row] = await connection.query(IN_THE_WAY, [String(pid)]);
  if (row === undefined) return null;
  const what =
    row.locktype === "advisory"
      ? "has the migration's lock"
      : typeof row.relation === "string"
        ? `has locked ${row.relation}`
        : "has not committed what this would write";
  return `${who(row)} ${what}`;
}

/** What the process does is shown to its own role, and to members of pg_read_all_stats. */
function who({ pid, gid, application, role, state }: Readonly<Record<string, unknown>>): string {
  if (pid === null) return `the prepared transaction ${gid ?? "(unknown)"}`;
  const known = [application, role === null ? null : `as ${role}`, state].filter(
    (part) => part !== null && part !== undefined && part !== "",
  );
  return `server process ${pid}${known.length === 0 ? "" : ` (${known.join(", ")})`}`;
}
