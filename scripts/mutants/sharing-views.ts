// Faults in what the views show of shares, and of deadlocks among them.
import type { Mutant } from "./mutant.js";

const oracle = "test/inspect/oracle.test.ts";
const crowds = ["test/inspect/stuck-waits.test.ts"];
const states = ["test/inspect/shares-views.test.ts"];
const cycles = ["test/inspect/shares-deadlocks.test.ts"];
const stuck = "src/sql/views/_stuck_waits.sql";

export const sharingViews: readonly Mutant[] = [
  {
    name: "views: a guard of a share is not seen",
    file: "src/sql/leases/_open_transactions.sql",
    edits: [
      [
        "k.relation in ('leasehold.leases'::regclass, 'leasehold.shares'::regclass)",
        "k.relation = 'leasehold.leases'::regclass",
      ],
      [
        "where c.oid in ('leasehold.leases'::regclass, 'leasehold.shares'::regclass)",
        "where c.oid = 'leasehold.leases'::regclass",
      ],
    ],
    tests: [...states, "test/inspect/scale.test.ts"],
  },
  {
    name: "views: a share that was released is one that has ended",
    file: "src/sql/views/_leases.sql",
    edits: [["where r.key = s.key), s.released_at is null,", "where r.key = s.key), true,"]],
    tests: states,
  },
  {
    name: "waiting: only the oldest holder's guard is told",
    file: "src/sql/views/waiting.sql",
    edits: [
      [
        "partition by k.key order by k.blocking_pid is null and k.blocking_transaction is null, k.rank, k.fence)",
        "partition by k.key order by k.rank, k.fence)",
      ],
    ],
    tests: [...states, oracle],
  },
  {
    name: "waiting: the newest of those who share a key is told as who is in the way",
    file: "src/sql/views/waiting.sql",
    edits: [["          order by k.key, k.rank, k.fence\n", "          order by k.key, k.rank, k.fence desc\n"]],
    tests: [oracle],
  },
  {
    name: "views: a minimum hold or a guard is told before who holds the key",
    file: "src/sql/views/_keys.sql",
    edits: [
      [
        "when s.state in ('held', 'revoked') then 1 when s.state = 'cooling'",
        "when s.state = 'held' then 4 when s.state = 'cooling'",
      ],
    ],
    tests: [oracle],
  },
  {
    name: "views: a share that has expired is held",
    file: "src/sql/views/_leases.sql",
    edits: [
      [
        "when l.expires_at <= clock.now then 'expired'",
        "when not l.is_share and l.expires_at <= clock.now then 'expired'",
      ],
    ],
    tests: [oracle],
  },
  {
    name: "views: a dead holder's share is held until its TTL",
    file: "src/sql/views/_leases.sql",
    edits: [
      [
        "when l.session_id is not null and not clock.is_standby and not coalesce",
        "when not l.is_share and l.session_id is not null and not clock.is_standby and not coalesce",
      ],
    ],
    tests: [oracle],
  },
  {
    name: "views: a share has no minimum hold",
    file: "src/sql/views/_leases.sql",
    edits: [
      [
        "when not l.is_taken and l.hold_until > clock.now",
        "when not l.is_taken and not l.is_share and l.hold_until > clock.now",
      ],
    ],
    tests: [oracle],
  },
  {
    name: "views: an exclusive lease has no mode",
    file: "src/sql/views/_leases.sql",
    edits: [["case when e.expires_at is not null then 'exclusive' end as mode", "null::text as mode"]],
    tests: [oracle],
  },
  {
    name: "views: a read lock is a semaphore",
    file: "src/sql/views/_leases.sql",
    edits: [["case when s.capacity is null then 'shared' else 'semaphore' end", "'semaphore'"]],
    tests: [oracle],
  },
  {
    name: "sessions: shares are not counted",
    file: "src/sql/views/live_sessions.sql",
    edits: [
      [
        "_leases l where l.state in ('held', 'revoked') group by",
        "_leases l where l.state in ('held', 'revoked') and not l.is_share group by",
      ],
    ],
    tests: [oracle],
  },
  {
    name: "waiting: who waits for a part waits for a read lock",
    file: "src/sql/queue/_queue.sql",
    edits: [["when w.capacity is null then 'shared' else 'semaphore' end", "else 'shared' end"]],
    tests: [oracle],
  },
  {
    name: "waiting: a row for each who is in the way",
    file: "src/sql/views/waiting.sql",
    edits: [["select distinct on (k.key) k.key,", "select k.key,"]],
    tests: states,
  },
  {
    name: "waiting: one key is searched for in all of them",
    file: "src/sql/views/waiting.sql",
    edits: [['q.key collate "C" as key', "q.key"]],
    tests: ["test/inspect/scale.test.ts"],
  },
  {
    name: "deadlocks: the weights of those who share a semaphore do not count",
    file: stuck,
    edits: [
      ["else h.taken + w.weight > least(h.capacity, w.capacity)", "else w.weight > least(h.capacity, w.capacity)"],
    ],
    tests: [oracle],
  },
  {
    name: "deadlocks: a share of one's own counts though nobody else has any",
    file: stuck,
    edits: [
      [
        "when h.lowest is not distinct from w.session and h.highest is not distinct from w.session then false\n               ",
        "",
      ],
    ],
    tests: crowds,
  },
  {
    name: "deadlocks: only the own capacity counts",
    file: stuck,
    edits: [["else h.taken + w.weight > least(h.capacity, w.capacity)", "else h.taken + w.weight > w.capacity"]],
    tests: crowds,
  },
  {
    name: "deadlocks: who stands behind one that is blocked is stuck without holding anything",
    file: stuck,
    edits: [["     where w.is_blocked and w.is_of_others;", "     where w.is_blocked;"]],
    tests: crowds,
  },
  {
    name: "deadlocks: a semaphore's wait is part of one though a holder may let go",
    file: stuck,
    edits: [["else h.taken + w.weight > least(h.capacity, w.capacity)", "else true"]],
    tests: cycles,
  },
  {
    name: "deadlocks: asked once whose wait could end",
    file: stuck,
    edits: [["then 1000000 else 3 end", "then 1 else 3 end"]],
    tests: cycles,
  },
  {
    name: "deadlocks: a place in the queue is no reason to wait",
    file: stuck,
    edits: [["over (partition by w.key order by w.place) as is_blocked", "over (partition by w.place) as is_blocked"]],
    tests: cycles,
  },
  {
    name: "deadlocks: a key is left where it was entered, so that two who want more of it are in none",
    file: "src/sql/views/_cycles.sql",
    edits: [
      ["if is_own[key] and node <> start then", "if is_own[key] and node <> start and not is_followed[key] then"],
    ],
    tests: cycles,
  },
];
