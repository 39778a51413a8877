// Faults in what an operator sees of shares and does with them, and in their SQL API. How they are granted: shares.ts.
import type { Mutant } from "./mutant.js";

const oracle = "test/inspect/oracle.test.ts";
const crowds = ["test/inspect/stuck-waits.test.ts"];
const check = ["test/inspect/shares-check.test.ts"];
const states = ["test/inspect/shares-views.test.ts"];
const cycles = ["test/inspect/shares-deadlocks.test.ts"];
const forced = ["test/loss/force-release-shares.test.ts"];
const api = ["test/sql-api/shares.test.ts"];
const adopted = ["test/adopt/shares.test.ts"];
const guarded = ["test/fencing/guard-table-shares.test.ts"];
const stuck = "src/sql/views/_stuck_waits.sql";
const force = "src/sql/shares/_force_shares.sql";
const inspect = "src/sql/leases/inspect.sql";

export const sharing: readonly Mutant[] = [
  {
    name: "check: of several holders the newest is told first",
    file: inspect,
    edits: [["order by k.rank, k.fence limit 1) f", "order by k.rank, k.fence desc limit 1) f"]],
    tests: check,
  },
  {
    name: "check: a key that is shared is free when its oldest holder's share ends",
    file: inspect,
    edits: [
      [
        "case when key.rank <= 2 then key.kept_until",
        "case when key.rank < 2 then key.expires_at when key.rank = 2 then key.hold_until",
      ],
    ],
    tests: check,
  },
  {
    name: "check: who has lost its share is one of the holders",
    file: inspect,
    edits: [["k.is_taken and (k.rank = 1) = (f.rank = 1)", "k.is_taken"]],
    tests: check,
  },
  {
    name: "check: only the oldest holder is found to be this process",
    file: "src/locker/lease-info.ts",
    edits: [["isFirstOurs || holders.some(({ isThisProcess }) => isThisProcess)", "isFirstOurs"]],
    tests: check,
  },
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
    name: "deadlocks: who holds and does not wait is stuck, too",
    file: stuck,
    edits: [
      [
        "sessions := array(select unnest(wait_sessions) intersect select unnest(hold_sessions));",
        "sessions := array(select distinct unnest(hold_sessions));",
      ],
    ],
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
  {
    name: "force_release: a fence takes the shares of all",
    file: force,
    edits: [
      [
        "select s.* from leasehold.shares s where s.key = p_key and (p_fence is null or s.fence = p_fence) order by s.fence",
        "select s.* from leasehold.shares s where s.key = p_key order by s.fence",
      ],
    ],
    tests: forced,
  },
  {
    name: "force_release: what a dead process shared is waited for",
    file: force,
    edits: [["\n      and not leasehold_internal._is_dead(share.session_id, share.takeover_ms);", ";"]],
    tests: forced,
  },
  {
    name: "force_release: free when the first of the shares ends",
    file: force,
    edits: [["free_at := greatest(free_at, share.expires_at);", "free_at := least(free_at, share.expires_at);"]],
    tests: forced,
  },
  {
    name: "force_release: a transaction that has renewed a share and stays open is waited for without end",
    file: force,
    edits: [["set lock_timeout = '500ms'\n", ""]],
    tests: forced,
  },
  {
    name: "force_release: what is released is deleted, and its holder is not told why",
    file: force,
    edits: [
      [
        "    if share.released_at is null then\n",
        "    delete from leasehold.shares s where s.key = p_key and s.token = share.token and s.released_at is not null;\n    if share.released_at is null then\n",
      ],
    ],
    tests: forced,
  },
  {
    name: "SQL API: a release wakes only the first of those who fit",
    file: "src/sql/queue/_wake_next.sql",
    edits: [
      [
        "select unnest(leasehold_internal._sessions_to_wake(p_key)) union select nullif(next, 0)",
        "select nullif(next, 0)",
      ],
    ],
    tests: api,
  },
  {
    name: "try_acquire: a capacity beside shared is passed over",
    file: "src/sql/api/_check_share.sql",
    edits: [["elsif shared and capacity is not null then", "elsif false then"]],
    tests: api,
  },
  {
    name: "try_acquire: a weight is passed over",
    file: "src/sql/api/_check_share.sql",
    edits: [["then coalesce(weight, 1)", "then 1"]],
    tests: api,
  },
  {
    name: "adopt: a share that is guarded",
    file: "src/sql/shares/_adopt_share.sql",
    edits: [
      [
        "where s.key = p_key and s.fence = p_fence for update skip locked;",
        "where s.key = p_key and s.fence = p_fence for no key update skip locked;",
      ],
    ],
    tests: adopted,
  },
  {
    name: "adopt: who comes second is told that the share has expired",
    file: "src/sql/leases/_loss_reason.sql",
    edits: [["and s.fence = held_fence) then 'taken'", "and s.fence = held_fence) then 'expired'"]],
    tests: adopted,
  },
  {
    name: "adopt: a share becomes an exclusive lock",
    file: "src/acquire/adopt.ts",
    edits: [["    ...terms,\n    share,\n", "    ...terms,\n"]],
    tests: adopted,
  },
  {
    name: "detach: a share stays on its session",
    file: "src/sql/shares/_detach_share.sql",
    edits: [["       set session_id = null,\n           takeover_ms = null,\n", "       set\n"]],
    tests: adopted,
  },
  {
    name: "guard_table: a guard of a share counts everywhere",
    file: "src/sql/api/require_guard.sql",
    edits: [["leasehold.is_guarded(key, tg_nargs > 2)", "leasehold.is_guarded(key, true)"]],
    tests: guarded,
  },
  {
    name: "is_guarded: the note of a share is believed",
    file: "src/sql/api/is_guarded.sql",
    edits: [["      if found then\n        return true;", "      if true then\n        return true;"]],
    tests: guarded,
  },
  {
    name: "guard_table: called again, it does not change which guards count",
    file: "src/sql/api/guard_table.sql",
    edits: [
      [
        "from unnest(arguments) with ordinality a (a, n)))\n",
        "from unnest(arguments[1:2]) with ordinality a (a, n)))\n",
      ],
    ],
    tests: guarded,
  },
  {
    name: "release --wait: a share is let go when the oldest one is not the one that was taken",
    file: "src/cli/release/until-free.ts",
    edits: [[" && !info.holders.some(({ fence }) => fences.has(fence))", ""]],
    tests: ["test/cli/shares.test.ts"],
  },
];
