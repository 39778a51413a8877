// Faults in what the views show, and to whom.
import type { Mutant } from "./mutant.js";

const states = ["test/inspect/views.test.ts"];
const cycles = ["test/inspect/deadlocks.test.ts"];

export const views: readonly Mutant[] = [
  {
    name: "views: two columns have changed places",
    file: "src/sql/views/stats.sql",
    edits: [["t.swept::bigint, t.errors::bigint,", "t.errors::bigint, t.swept::bigint,"]],
    tests: ["test/inspect/drizzle-views.test.ts"],
  },
  {
    name: "views: a silent session counts as dead at once",
    file: "src/sql/views/_leases.sql",
    edits: [
      [
        "or greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' < clock.now\n                    and p.seen_at is not null)",
        "or p.seen_at is not null)",
      ],
    ],
    tests: states,
  },
  {
    name: "views: a session with a row is alive",
    file: "src/sql/views/_leases.sql",
    edits: [["coalesce(p.is_connected and p.seen_at is not null, false)", "p.seen_at is not null"]],
    tests: states,
  },
  {
    name: "views: a standby takes sessions for dead",
    file: "src/sql/views/_leases.sql",
    edits: [
      ["case when l.session_id is not null and not clock.is_standby then", "case when l.session_id is not null then"],
    ],
    tests: states,
  },
  {
    name: "views: time stands still in a transaction",
    file: "src/sql/views/_leases.sql",
    edits: [
      [
        "(select clock_timestamp() as now, pg_is_in_recovery() as is_standby)",
        "(select now(), pg_is_in_recovery() as is_standby)",
      ],
    ],
    tests: states,
  },
  {
    name: "views: who does not look any more has a position in the queue",
    file: "src/sql/queue/_queue.sql",
    edits: [["partition by w.key, w.alive_until > now order by", "partition by w.key order by"]],
    tests: states,
  },
  {
    name: "views: who does not look any more is counted",
    file: "src/sql/views/active_leases.sql",
    edits: [
      [
        "case when not l.is_standby then coalesce(queue.waiters, 0) end as waiters,\n       l.pid, l.host, l.client_address, l.application_name, l.metadata, l.acquisitions\n  from leasehold_internal._leases l\n  left join (\n         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group",
        "case when not l.is_standby then coalesce(queue.waiters, 0) end as waiters,\n       l.pid, l.host, l.client_address, l.application_name, l.metadata, l.acquisitions\n  from leasehold_internal._leases l\n  left join (\n         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w group",
      ],
    ],
    tests: states,
  },
  {
    name: "views: blocked by who let go",
    file: "src/sql/views/waiting.sql",
    edits: [[" and (blocking.state in ('held', 'cooling') or b.key is not null)", ""]],
    tests: states,
  },
  {
    name: "views: several guards of one key are nobody",
    file: "src/sql/leases/_blockers.sql",
    edits: [["and mxid_age(m.xid) between 1 and", "and mxid_age(m.xid) between 0 and 0 * "]],
    tests: states,
  },
  {
    name: "views: a guard in a released subtransaction is nobody",
    file: "src/sql/leases/_blockers.sql",
    edits: [["where others = 1 and o.pid is distinct", "where others = 0 and o.pid is distinct"]],
    tests: states,
  },
  {
    name: "views: a key that is guarded and released is free for who waits",
    file: "src/sql/views/waiting.sql",
    edits: [["(blocking.state in ('held', 'cooling') or b.key is not null)", "blocking.state in ('held', 'cooling')"]],
    tests: states,
  },
  {
    name: "views: a process that waits for itself is a cycle",
    file: "src/sql/views/deadlocks.sql",
    edits: [[" and l.session_id <> w.session_id\n", " and l.session_id is not null and w.session_id is not null\n"]],
    tests: cycles,
  },
  {
    name: "views: a cycle is told for each of its sessions",
    file: "src/sql/views/deadlocks.sql",
    edits: [["select distinct found.sessions", "select found.sessions"]],
    tests: cycles,
  },
  {
    name: "views: a cycle begins where it was found",
    file: "src/sql/views/_cycles.sql",
    edits: [["cycle := cycle[least:] || cycle[:least - 1];", "cycle := cycle;"]],
    tests: cycles,
  },
];
