// Faults in what the sweeper deletes, whom it waits for, and when it runs.
import type { Mutant } from "./mutant.js";

const purge = ["test/sweeper/purge.test.ts"];
const lockers = ["test/sweeper/locker.test.ts"];

export const sweeper: readonly Mutant[] = [
  {
    name: "purge: a key that counts on from elsewhere is forgotten",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [
      ["     and l.fence <= last\n", ""],
      ["l.fence <= last and leasehold_internal._is_unused_since", "leasehold_internal._is_unused_since"],
    ],
    tests: ["test/sweeper/purge.test.ts"],
  },
  {
    name: "sweep: a lease that is live, but old",
    file: "src/sql/sweeper/_is_unused_since.sql",
    edits: [["else lease.expires_at < before", "else lease.acquired_at < before"]],
    tests: purge,
  },
  {
    name: "sweep: the retention is not asked",
    file: "src/sql/sweeper/_is_unused_since.sql",
    edits: [["when lease.token is null then lease.released_at < before and (", "when lease.token is null then ("]],
    tests: purge,
  },
  {
    name: "sweep: the minimum hold is not asked",
    file: "src/sql/sweeper/_is_unused_since.sql",
    edits: [[" and (lease.hold_until is null or lease.hold_until < before)", ""]],
    tests: purge,
  },
  {
    name: "sweep: no decision after the lock",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [["\n     and leasehold_internal._is_unused_since(l, before)\n", "\n"]],
    tests: ["test/sweeper/race.test.ts"],
  },
  {
    name: "sweep: the queue is not asked",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [["\n     and not exists (select from leasehold.waiters w where w.key = l.key)", ""]],
    tests: purge,
  },
  {
    name: "sweep: waits for a locked row",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [["order by l.key for update skip locked);", "order by l.key for update);"]],
    tests: purge,
  },
  {
    name: "sweep: a session that lives, by its own connection",
    file: "src/sql/sweeper/_purge_sessions.sql",
    edits: [["where not p.is_connected and p.seen_at < before", "where p.seen_at < before"]],
    tests: purge,
  },
  {
    name: "sweep: a session that a lease names",
    file: "src/sql/sweeper/_purge_sessions.sql",
    edits: [[" and d.id <> all (named)", ""]],
    tests: purge,
  },
  {
    name: "sweep: a waiter that has only just stopped looking",
    file: "src/sql/sweeper/_purge_waiters.sql",
    edits: [["d.alive_until < clock_timestamp() - interval '1 minute'", "d.alive_until < clock_timestamp()"]],
    tests: purge,
  },
  {
    name: "sweep: several at once",
    file: "src/sql/sweeper/_sweep.sql",
    edits: [["is_busy := not pg_try_advisory_xact_lock(:maintenance_class, 1);", "is_busy := false;"]],
    tests: purge,
  },
  {
    name: "sweep: no bound of a batch",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [["(where p.is_forgotten))[:most]", "(where p.is_forgotten))"]],
    tests: purge,
  },
  {
    name: "sweep: a pass always begins at the start",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [["where l.key > coalesce(start, '')", "where l.key > ''"]],
    tests: purge,
  },
  {
    name: "sweep: any retention",
    file: "src/sql/sweeper/admin_sweep.sql",
    edits: [["seconds not between 60 and 3155760000", "seconds not between 0 and 3155760000"]],
    tests: purge,
  },
  {
    name: "sweep: the retention is taken off by the calendar",
    file: "src/sql/sweeper/admin_sweep.sql",
    edits: [
      [
        "seconds is null or seconds not between 60 and 3155760000",
        "retention is null or retention < interval '1 minute'",
      ],
      ["_sweep(seconds * interval '1 second', batch, null)", "_sweep(retention, batch, null)"],
    ],
    tests: purge,
  },
  {
    name: "sweep: wakes the last in the queue",
    file: "src/sql/sweeper/_wake_heads.sql",
    edits: [["order by w.key, w.ticket\n", "order by w.key, w.ticket desc\n"]],
    tests: purge,
  },
  {
    name: "sweep: wakes where nothing moves",
    file: "src/sql/sweeper/_wake_heads.sql",
    edits: [["l.state in ('free', 'expired', 'orphaned')", "true"]],
    tests: purge,
  },
  {
    name: "sweep: all lockers do the same work",
    file: "src/sql/sweeper/_sweep.sql",
    edits: [["if state.swept_at > clock_timestamp() - p_quiet_ms * interval '1 millisecond' then", "if false then"]],
    tests: lockers,
  },
  {
    name: "sweep: an idle locker goes on",
    file: "src/locker/lifecycle.ts",
    edits: [["    sweeping.stop();\n    if (flushing.isWanted) {", "    if (flushing.isWanted) {"]],
    tests: lockers,
  },
];
