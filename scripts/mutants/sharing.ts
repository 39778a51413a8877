// Faults in what an operator does with shares, and in their SQL API. How they are granted: shares.ts. Views: sharing-views.ts.
import type { Mutant } from "./mutant.js";

const check = ["test/inspect/shares-check.test.ts"];
const forced = ["test/loss/force-release-shares.test.ts"];
const api = ["test/sql-api/shares.test.ts"];
const adopted = ["test/adopt/shares.test.ts"];
const guarded = ["test/fencing/guard-table-shares.test.ts"];
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
  {
    name: "timeout: a deadlock hides that a share is never upgraded",
    file: "src/errors/lock-errors.ts",
    edits: [["    const advice = isUpgrade\n", "    const advice = isUpgrade && deadlock === null\n"]],
    tests: ["test/waiting/deadlock.test.ts"],
  },
  {
    name: "timeout: who waits ahead of a share is not told of",
    file: "src/locker/parts.ts",
    edits: [["const isShare = share !== null && !hasAlone(key);", "const isShare = false;"]],
    tests: ["test/waiting/deadlock.test.ts"],
  },
  {
    name: "timeout: a share behind its own exclusive lock is told to wait",
    file: "src/locker/parts.ts",
    edits: [["const isShare = share !== null && !hasAlone(key);", "const isShare = share !== null;"]],
    tests: ["test/waiting/deadlock.test.ts"],
  },
];
