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
    edits: [["_queue() w where w.is_alive group by w.key) queue", "_queue() w group by w.key) queue"]],
    tests: states,
  },
  {
    name: "views: blocked by who let go",
    file: "src/sql/views/waiting.sql",
    edits: [["(k.state in ('held', 'revoked', 'cooling') or k.is_blocked)", "true"]],
    tests: states,
  },
  {
    name: "views: several guards of one key are nobody",
    file: "src/sql/leases/_locker.sql",
    edits: [["if mxid_age(locked) between 1 and mxid_age(oldest_multixact) then", "if false then"]],
    tests: states,
  },
  {
    name: "views: several guards are nobody when theirs is the oldest multixact",
    file: "src/sql/leases/_locker.sql",
    edits: [["between 1 and mxid_age(oldest_multixact) then", "between 1 and mxid_age(oldest_multixact) - 1 then"]],
    tests: ["test/inspect/oldest-multixact.test.ts"],
  },
  {
    name: "views: a guard in a released subtransaction is nobody",
    file: "src/sql/leases/_locker.sql",
    edits: [["if lone is not null then", "if false then"]],
    tests: states,
  },
  {
    name: "views: who writes just now is the only guard",
    file: "src/sql/leases/_locker.sql",
    edits: [
      [
        "where k.locktype = 'transactionid' and k.granted\n         and k.transactionid in",
        "where false and k.transactionid in",
      ],
    ],
    tests: states,
  },
  {
    name: "views: of several transactions none is in the way",
    file: "src/sql/leases/_open_transactions.sql",
    edits: [["case when r.count > 1 then 0 else r.place end", "case when r.count = 1 then r.place end"]],
    tests: [...states, "test/exclusion/first-grant.test.ts"],
  },
  {
    name: "views: the newest transactions are not seen",
    file: "src/sql/leases/_locker.sql",
    edits: [
      [
        "edge - 2147483648 + mod(s.xid::text::numeric - mod(edge, 4294967296) + 6442450944, 4294967296)",
        "edge - mod(edge - s.xid::text::numeric + 4294967296, 4294967296)",
      ],
    ],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "views: a prepared transaction has no name",
    file: "src/sql/leases/_open_transactions.sql",
    edits: [["on t.pid is null and p.transaction = t.xid", "on false"]],
    tests: ["test/exclusion/prepared-grant.test.ts"],
  },
  {
    name: "views: what was revoked is held as before",
    file: "src/sql/views/_leases.sql",
    edits: [["         when l.revoked_at is not null then 'revoked'\n", ""]],
    tests: states,
  },
  {
    name: "views: a key in its minimum hold is free",
    file: "src/sql/views/active_leases.sql",
    edits: [["where k.state in ('held', 'revoked', 'cooling')", "where k.state in ('held', 'revoked')"]],
    tests: states,
  },
  {
    name: "views: a key that is guarded and released is free",
    file: "src/sql/views/_keys.sql",
    edits: [["case when l.state = 'free' and b.place is not null then 'blocked' else l.state end", "l.state"]],
    tests: states,
  },
  {
    name: "views: a lease that is over and guarded is in both views",
    file: "src/sql/views/expired_leases.sql",
    edits: [[" and not k.is_blocked;", ";"]],
    tests: states,
  },
  {
    name: "views: each row asks who has locked it",
    file: "src/sql/views/_keys.sql",
    edits: [
      [
        " and l.locked <> '0'::xid and l.locked <> l.version\n             and (age(l.locked) <= open.oldest or mxid_age(l.locked) between 1 and mxid_age(open.oldest_multixact))\n",
        "\n",
      ],
    ],
    tests: ["test/inspect/scale.test.ts"],
  },
  {
    name: "views: a key that is guarded and released is free for who waits",
    file: "src/sql/views/waiting.sql",
    edits: [[" or k.is_blocked)", ")"]],
    tests: states,
  },
  {
    name: "views: a process that waits for itself is a cycle",
    file: "src/sql/views/_cycles.sql",
    edits: [["if is_own[key] and node <> start then", "if is_own[key] then"]],
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
    edits: [
      ["sessions := cycle[least:] || cycle[:least - 1];", "sessions := cycle;"],
      ["keys := path[least:] || path[:least - 1];", "keys := path;"],
    ],
    tests: cycles,
  },
];
