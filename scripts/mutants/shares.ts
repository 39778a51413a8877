// Faults in how shares are granted beside each other and beside who has the key alone (decision 27).
import type { Mutant } from "./mutant.js";

const decided = ["test/shares/decided.test.ts"];
const faults = ["test/shares/faults.test.ts"];
const peers = ["test/shares/peers.test.ts"];
const grant = "src/sql/shares/_acquire_shares.sql";

export const shares: readonly Mutant[] = [
  {
    name: "shares: of those that look together each is given the proof of another",
    file: "src/sql/shares/_look_for_shares.sql",
    edits: [["array_agg(p_proofs[p.place] order by p.number)", "array_agg(p_proofs[p.place] order by p.number desc)"]],
    tests: decided,
  },
  {
    name: "shares: one that has ended does not count, though a guard keeps it",
    file: "src/sql/shares/_count_shares.sql",
    edits: [["     where s.key = p_key;", "     where s.key = p_key and not :share_has_ended;"]],
    tests: decided,
  },
  {
    name: "shares: who wants the key alone passes the shares that guards keep",
    file: "src/sql/leases/_is_grantable.sql",
    edits: [["where s.key = lease.key)", "where s.key = lease.key and not :share_has_ended)"]],
    tests: decided,
  },
  {
    name: "shares: removed although an open transaction guards them",
    file: "src/sql/shares/_remove_shares.sql",
    edits: [
      [
        "        limit most\n          for update skip locked",
        "        limit most\n          for no key update skip locked",
      ],
    ],
    tests: decided,
  },
  {
    name: "shares: who wants the key alone is refused for the sake of one that has ended, and that a transaction keeps",
    file: "src/sql/leases/acquire_one.sql",
    edits: [["elsif :only_ended_shares then", "elsif false then"]],
    tests: decided,
  },
  {
    name: "shares: who wants the key alone is told that it is free although there are more that have ended",
    file: "src/sql/leases/acquire_one.sql",
    edits: [["if p_waits and lapsed.key is not null then", "if false then"]],
    tests: decided,
  },
  {
    name: "shares: who fits beside those that have not ended is refused for the sake of one that has",
    file: grant,
    edits: [["if counted.ended > 0 and array_position(outcomes, null) is not null then", "if false then"]],
    tests: decided,
  },
  {
    name: "shares: a waiter is not told which transaction keeps one that has ended",
    file: "src/sql/shares/_refuse_shares.sql",
    edits: [["keeper := (select b.pid from leasehold_internal._blocker(p_key) b);", "null;"]],
    tests: decided,
  },
  {
    name: "shares: only the own capacity counts",
    file: grant,
    edits: [
      ["coalesce(least(line.capacity, p_capacities[place]), 2147483647)", "coalesce(p_capacities[place], 2147483647)"],
    ],
    tests: peers,
  },
  {
    name: "shares: the own capacity does not count",
    file: grant,
    edits: [["coalesce(least(line.capacity, p_capacities[place]), 2147483647)", "coalesce(line.capacity, 2147483647)"]],
    tests: peers,
  },
  {
    name: "shares: a newcomer passes a writer in line",
    file: "src/sql/shares/_line.sql",
    edits: [
      [
        "        sessions := array[waiter.session_id];\n      end if;\n      is_open := false;",
        "        sessions := array[waiter.session_id];\n      end if;",
      ],
    ],
    tests: peers,
  },
  {
    name: "shares: a newcomer passes a waiter that is too heavy now",
    file: "src/sql/shares/_line.sql",
    edits: [
      [
        "> least(capacity, waiter.capacity) then\n      is_open := false;",
        "> least(capacity, waiter.capacity) then\n      is_open := is_open;",
      ],
    ],
    tests: peers,
  },
  {
    name: "shares: a grant leaves the root as it was",
    file: grant,
    edits: [
      [
        "       set token = null,\n           fence = first_fence + cardinality(chosen) - 1,\n           owner = p_owners[chosen[1]],\n",
        "       set owner = p_owners[chosen[1]],\n",
      ],
    ],
    tests: faults,
  },
  {
    name: "shares: the flag is not set, so the fast path grants the key beside them",
    file: grant,
    edits: [["           queued = true,", "           queued = l.queued,"]],
    tests: peers,
  },
  {
    name: "shares: a token that was released is granted again",
    file: "src/sql/shares/_repeat_share.sql",
    edits: [["    outcome := 'late'; -- nobody", "    outcome := null; -- nobody"]],
    tests: decided,
  },
  {
    name: "shares: a last word in doubt frees what it finds, without the root",
    file: "src/sql/leases/abandon.sql",
    edits: [["  if true = any (p_doubted) then", "  if false then"]],
    tests: decided,
  },
  {
    name: "shares: ten that have ended are removed at a time, however many are in the way",
    file: grant,
    edits: [["lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, false), lapsed);", "null;"]],
    tests: decided,
  },
  {
    name: "shares: an entry that has expired stays behind its claim's grant",
    file: grant,
    edits: [
      [
        "    if exists (select from leasehold.waiters w where w.key = p_key) then",
        "    if cardinality(line.tokens) > 0 then",
      ],
    ],
    tests: decided,
  },
  {
    name: "shares: a renewal revives one that has expired",
    file: "src/sql/shares/_renew_shares.sql",
    edits: [["s.ctid = x.version and s.expires_at > d.at and", "s.ctid = x.version and"]],
    tests: faults,
  },
  {
    name: "shares: a release forgets the minimum hold",
    file: "src/sql/shares/release_shares.sql",
    edits: [
      [
        "           and (k.min_hold_ms = 0 or k.acquired_at + k.min_hold_ms * interval '1 millisecond' <= clock_timestamp())\n",
        "",
      ],
    ],
    tests: decided,
  },
  {
    name: "shares: notifies a writer while readers are left",
    file: "src/sql/shares/_line.sql",
    edits: [["      if p_counted = 0 and tokens = '{}' then", "      if tokens = '{}' then"]],
    tests: decided,
  },
  {
    name: "shares: the sweeper deletes their root",
    file: "src/sql/sweeper/_purge_leases.sql",
    edits: [["\n     and not exists (select from leasehold.shares s where s.key = l.key)", ""]],
    tests: decided,
  },
  {
    name: "shares: the sweeper deletes those that are kept by a minimum hold",
    file: "src/sql/sweeper/_purge_shares.sql",
    edits: [[" and (d.hold_until is null or d.hold_until < before)", ""]],
    tests: decided,
  },
  {
    name: "shares: a dead holder's stays until its TTL",
    file: grant,
    edits: [["lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, true), lapsed);", ""]],
    tests: faults,
  },
  {
    name: "shares: a dead reader keeps the writer out until its TTL",
    file: "src/sql/shares/_clear_shares.sql",
    edits: [["lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, true), lapsed);", "null;"]],
    tests: faults,
  },
  {
    name: "shares: their guard is recorded as one of the key",
    file: "src/sql/guards/_guard.sql",
    edits: [
      ["case when share.key is null then p_key else leasehold_internal._share_guard(p_key) end", "p_key"],
      // which the last grant of the key would show, too
      [" and l.expires_at is not null", "", "src/sql/api/is_guarded.sql"],
    ],
    tests: decided,
  },
  {
    name: "shares: the last grant of a key counts as exclusive for its guard",
    file: "src/sql/api/is_guarded.sql",
    edits: [[" and l.expires_at is not null", ""]],
    tests: decided,
  },
  {
    name: "shares: a guard locks the root",
    file: "src/sql/guards/_guard.sql",
    edits: [
      [
        "where s.key = p_key and s.fence = p_fence for key share;\n  if found then",
        "where s.key = p_key and s.fence = p_fence for key share;\n  perform from leasehold.leases l where l.key = p_key for key share;\n  if version is not null then",
      ],
    ],
    tests: decided,
  },
  {
    name: "shares: readers that stand next to each other are woken one by one, a poll apart",
    file: "src/acquire/local-queues.ts",
    edits: [["  if (next.isReader) {", "  if (false) {"]],
    tests: ["test/shares/together.test.ts"],
  },
  {
    name: "shares: nobody is told that others of the queue fit, too",
    file: "src/postgres/acts/acquire-answers.ts",
    edits: [["...(row.nextlook !== null && { hasMore: true }),", ""]],
    tests: ["test/unit/postgres/shares.test.ts"],
  },
  {
    name: "shares: waiters of this process are told by a statement, too",
    file: "src/postgres/acts/acquire-busy.ts",
    edits: [['outcome === "granted" && nextlook === 0', 'outcome === "granted" && nextlook !== null']],
    tests: ["test/unit/postgres/shares.test.ts"],
  },
  {
    name: "shares: who wants the key alone does not look for any",
    file: "src/sql/parts/last_was_shared.sql",
    edits: [["(lease.token is null and lease.expires_at is null and lease.fence > 0)", "(false)"]],
    tests: decided,
  },
  {
    name: "shares: capacities that differ are told to nobody",
    file: grant,
    edits: [["case when counted.capacity <> a.capacity then counted.capacity end", "null::integer"]],
    tests: peers,
  },
  {
    name: "shares: capacities that differ are told with each lock",
    file: "src/acquire/mixed-capacities.ts",
    edits: [["    this.#told.add(key);\n", ""]],
    tests: peers,
  },
  {
    name: "memory: capacities that differ are told to nobody",
    file: "src/memory/memory-leases.ts",
    edits: [["isMixed ? capacity : null", "null"]],
    tests: ["test/stores/alike.test.ts"],
  },
  {
    name: "shares: who asks for a new key that another is granted just now is refused",
    file: "src/sql/shares/_refuse_shares.sql",
    edits: [["(lease.key is null or :last_was_shared)", "(:last_was_shared)"]],
    tests: ["test/shares/together.test.ts"],
  },
  {
    name: "shares: a try in SQL does not wait for one that is being committed",
    file: "src/sql/api/try_acquire.sql",
    edits: [["worth_waiting := answer.nextlook is not distinct from 0;", "worth_waiting := false;"]],
    tests: ["test/sql-api/shares.test.ts"],
  },
  {
    name: "shares: what its own renewal has locked is waited for like the root",
    file: "src/sql/shares/_refuse_shares.sql",
    edits: [["is_worth_waiting := not is_root_locked and (", "is_worth_waiting := ("]],
    tests: ["test/sql-api/shares.test.ts"],
  },
  {
    name: "shares: those behind a key that is kept are waited for, one after the other",
    file: "src/postgres/acts/acquire-busy.ts",
    edits: [["isKept ? alike.map(stillBusy) : await ask(acts, alike)", "await ask(acts, alike)"]],
    tests: ["test/unit/postgres/shares.test.ts"],
  },
  {
    name: "shares: who found the key busy forgets the ticket that it was given",
    file: "src/postgres/acts/acquire-busy.ts",
    edits: [["request: { ...look.request, ticket },", "request: look.request,"]],
    tests: ["test/unit/postgres/shares.test.ts"],
  },
  {
    name: "shares: more have ended than are removed at a time, and who wants the key alone looks when it polls",
    file: "src/sql/leases/acquire_one.sql",
    edits: [["nextlook := 0; -- there were more of them", "nextlook := null; -- there were more of them"]],
    tests: decided,
  },
  {
    name: "shares: a token that is asked for twice at once is an error",
    file: grant,
    edits: [["elsif has_twins and p_tokens[place]", "elsif false and p_tokens[place]"]],
    tests: decided,
  },
  {
    name: "shares: who wants the key alone now waits for a share as before (without a ticket)",
    file: "src/sql/leases/acquire_one.sql",
    edits: [
      ["alive_until = excluded.alive_until, weight = null, capacity = null", "alive_until = excluded.alive_until"],
    ],
    tests: decided,
  },
  {
    name: "shares: who wants the key alone now waits for a share as before (with its ticket)",
    file: "src/sql/leases/acquire_one.sql",
    edits: [[" or a.weight is not null)", ")"]],
    tests: decided,
  },
  {
    name: "shares: a key that was stuck once is asked for carefully for ever",
    file: "src/postgres/acts/acquire.ts",
    edits: [["          this.#learn(key, answer);\n", ""]],
    tests: ["test/unit/postgres/shares.test.ts"],
  },
  {
    name: "shares: an entry behind others keeps the terms that it was made with",
    file: "src/sql/queue/_enqueue.sql",
    edits: [["or known.is_any_changed then", "or false then"]],
    tests: decided,
  },
  {
    name: "shares: what is busy on a shared key is refused",
    file: "src/postgres/acts/acquire-answers.ts",
    edits: [['return outcome === "busy" && nextlook === 0;', "return false;"]],
    tests: ["test/shares/together.test.ts"],
  },
];
