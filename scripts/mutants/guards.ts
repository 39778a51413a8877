// Faults in what makes a stale write impossible.
//
// Not here, because they change nothing that could be seen: a guard of a key without a row that passes by the default of its
// `coalesce` (no token makes the condition false, not null).
import type { Mutant } from "./mutant.js";

const held =
  "is_held := lease.fence = p_fence and lease.token is not null and lease.revoked_at is null and lease.expires_at > at;";
const inGuard = ["test/fencing/guard.test.ts"];
const inTables = ["test/fencing/guard-table.test.ts"];
const inFenced = ["test/fencing/fence-table.test.ts"];

export const guards: readonly Mutant[] = [
  {
    name: "guard: no key share lock",
    file: "src/sql/guards/_guard.sql",
    edits: [
      [
        "select l.ctid into version from leasehold.leases l where l.key = p_key for key share;",
        "select l.ctid into version from leasehold.leases l where l.key = p_key;",
      ],
    ],
    tests: ["test/fencing/exclusion.test.ts"],
  },
  {
    name: "guard: no key share lock (random test)",
    file: "src/sql/guards/_guard.sql",
    edits: [
      [
        "select l.ctid into version from leasehold.leases l where l.key = p_key for key share;",
        "select l.ctid into version from leasehold.leases l where l.key = p_key;",
      ],
      // else guard_table takes the lock in its place
      ["\n     for key share;", ";", "src/sql/api/is_guarded.sql"],
    ],
    tests: ["test/stale-writes/random.test.ts"],
  },
  {
    name: "guard: a lock that blocks renewals",
    file: "src/sql/guards/_guard.sql",
    edits: [
      [
        "select l.ctid into version from leasehold.leases l where l.key = p_key for key share;",
        "select l.ctid into version from leasehold.leases l where l.key = p_key for share;",
      ],
    ],
    tests: ["test/fencing/exclusion.test.ts"],
  },
  {
    name: "guard: the lease read before the lock",
    file: "src/sql/guards/_guard.sql",
    edits: [
      [
        "    select l.ctid into version from leasehold.leases l where l.key = p_key for key share;",
        "    select l.* into lease from leasehold.leases l where l.key = p_key;\n    select l.ctid into version from leasehold.leases l where l.key = p_key for key share;",
      ],
      [
        "\n      select l.* into lease from leasehold.leases l where l.key = p_key;\n      perform leasehold_internal._refuse_old",
        "\n      perform leasehold_internal._refuse_old",
      ],
    ],
    tests: inGuard,
  },
  {
    name: "guard: the clock read before the lock",
    file: "src/sql/guards/_guard.sql",
    edits: [[`at := clock_timestamp();\n    ${held}`, `at := statement_timestamp();\n    ${held}`]],
    tests: inGuard,
  },
  {
    name: "guard: the clock of the transaction",
    file: "src/sql/guards/_guard.sql",
    edits: [[`at := clock_timestamp();\n    ${held}`, `at := now();\n    ${held}`]],
    tests: inGuard,
  },
  {
    name: "guard: no comparison of fences",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace("lease.fence = p_fence and ", "")]],
    tests: inGuard,
  },
  {
    name: "guard: no comparison of fences (classic failure)",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace("lease.fence = p_fence and ", "")]],
    tests: ["test/stale-writes/classic.test.ts"],
  },
  {
    name: "guard: an older fence passes",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace("lease.fence = p_fence", "lease.fence >= p_fence")]],
    tests: inGuard,
  },
  {
    name: "guard: a fence from the future passes",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace("lease.fence = p_fence", "lease.fence <= p_fence")]],
    tests: inGuard,
  },
  {
    name: "guard: a released lease passes",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace("lease.token is not null and ", "")]],
    tests: inGuard,
  },
  {
    name: "guard: a revoked lease passes",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace("lease.revoked_at is null and ", "")]],
    tests: inGuard,
  },
  {
    name: "guard: an expired lease passes",
    file: "src/sql/guards/_guard.sql",
    edits: [[held, held.replace(" and lease.expires_at > at", "")]],
    tests: inGuard,
  },
  {
    name: "guard: an old snapshot is believed",
    file: "src/sql/guards/_refuse_old_snapshot.sql",
    edits: [["currtid2(relation::text, version) <> version", "false"]],
    tests: ["test/fencing/isolation.test.ts"],
  },
  {
    name: "guard: no bound for an idle transaction",
    file: "src/sql/guards/_guard.sql",
    edits: [["  perform leasehold_internal._lower_timeout('idle_in_transaction_session_timeout', bound_ms);\n", ""]],
    tests: ["test/fencing/timeouts.test.ts"],
  },
  {
    name: "guard: no bound for a statement",
    file: "src/sql/guards/_guard.sql",
    edits: [["  perform leasehold_internal._lower_timeout('statement_timeout', bound_ms);\n", ""]],
    tests: ["test/fencing/timeouts.test.ts"],
  },
  {
    name: "guard: its bounds outlive the transaction",
    file: "src/sql/guards/_lower_timeout.sql",
    edits: [
      ["perform set_config(setting, bound_ms::text, true);", "perform set_config(setting, bound_ms::text, false);"],
    ],
    tests: ["test/fencing/timeouts.test.ts"],
  },
  {
    name: "guard: the client's works in another database",
    file: "src/sql/guards/guard.sql",
    edits: [["if p_database_id is distinct from leasehold_internal.database_id() then", "if false then"]],
    tests: inGuard,
  },
  {
    name: "require_guard: outside a transaction it passes",
    file: "src/sql/guards/require_guard.sql",
    edits: [["::bigint = p_fence) is not true then", "::bigint = p_fence) is not true and false then"]],
    tests: inGuard,
  },
  {
    name: "guards noted: for every transaction of the session",
    file: "src/sql/guards/_guarded_keys.sql",
    edits: [
      [
        "case when recorded ->> 'xid' = pg_current_xact_id_if_assigned()::text then",
        "case when recorded is not null then",
      ],
    ],
    tests: ["test/fencing/attacks.test.ts"],
  },
  {
    name: "guards noted: the last one alone",
    file: "src/sql/guards/_guard.sql",
    edits: [["leasehold_internal._guarded_keys(p_key) || jsonb_build_object(", "jsonb_build_object("]],
    tests: inGuard,
  },
  {
    name: "guards noted: all in one setting, which every look goes through",
    file: "src/sql/guards/_guards_setting.sql",
    edits: [['(hashtextextended(p_key collate "C", 0) & 255)::text', "'0'"]],
    tests: ["test/fencing/cost.test.ts"],
  },
  {
    name: "is_guarded: no lock of its own",
    file: "src/sql/api/is_guarded.sql",
    edits: [["\n     for key share;", ";"]],
    tests: ["test/fencing/attacks.test.ts"],
  },
  {
    name: "is_guarded: the note is believed",
    file: "src/sql/api/is_guarded.sql",
    edits: [["return coalesce(current_fence = guarded, false);", "return true;"]],
    tests: ["test/fencing/attacks.test.ts"],
  },
  {
    name: "guard_table: a row that moves is looked at with its new key alone",
    file: "src/sql/api/require_guard.sql",
    edits: [["if keys[1] = keys[2] then\n      keys := keys[1:1];", "if true then\n      keys := keys[2:2];"]],
    tests: inTables,
  },
  {
    name: "guard_table: a row that moves is looked at with its old key alone",
    file: "src/sql/api/require_guard.sql",
    edits: [["if keys[1] = keys[2] then\n      keys := keys[1:1];", "if true then\n      keys := keys[1:1];"]],
    tests: inTables,
  },
  {
    name: "guard_table: deletes are not looked at",
    file: "src/sql/api/guard_table.sql",
    edits: [["after insert or update or delete on %s for each row", "after insert or update on %s for each row"]],
    tests: inTables,
  },
  {
    name: "guard_table: inserts are not looked at",
    file: "src/sql/api/guard_table.sql",
    edits: [["after insert or update or delete on %s for each row", "after update or delete on %s for each row"]],
    tests: inTables,
  },
  {
    name: "guard_table: a row without a key is let through",
    file: "src/sql/api/require_guard.sql",
    edits: [["    if key is null then\n", "    if key is null then continue; end if;\n    if key is null then\n"]],
    tests: inTables,
  },
  {
    name: "fence_table: an older fence passes",
    file: "src/sql/api/fence_table.sql",
    edits: [["when (new.%3$I < old.%3$I or (", "when (("]],
    tests: inFenced,
  },
  {
    name: "fence_table: the same fence is refused",
    file: "src/sql/api/fence_table.sql",
    edits: [["when (new.%3$I < old.%3$I or (", "when (new.%3$I <= old.%3$I or ("]],
    tests: inFenced,
  },
  {
    name: "fence_table: a row can lose its fence",
    file: "src/sql/api/fence_table.sql",
    edits: [[" or (new.%3$I is null and old.%3$I is not null))", ")"]],
    tests: inFenced,
  },
  {
    name: "check_fence: a smaller fence passes",
    file: "src/sql/api/check_fence.sql",
    edits: [["elsif mark.fence = check_fence.fence then", "elsif mark.fence >= check_fence.fence then"]],
    tests: ["test/fencing/check-fence.test.ts"],
  },
  {
    name: "check_fence: the mark sinks when two come at once",
    file: "src/sql/api/check_fence.sql",
    edits: [
      [
        'where m.resource = check_fence.resource collate "C" and m.fence < check_fence.fence;',
        'where m.resource = check_fence.resource collate "C";',
      ],
    ],
    tests: ["test/fencing/check-fence.test.ts"],
  },
];
