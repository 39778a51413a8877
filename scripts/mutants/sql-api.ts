// Faults in the public SQL API.
import type { Mutant } from "./mutant.js";

const attach = ["test/sql-api/attach.test.ts"];
const locks = ["test/sql-api/locks.test.ts"];
const acquire = ["test/sql-api/acquire.test.ts"];
const acquireEnds = ["test/sql-api/acquire-ends.test.ts"];
const acquirePlaces = ["test/sql-api/acquire-places.test.ts"];
const acquireTurns = ["test/sql-api/acquire-turns.test.ts"];
const forced = "test/loss/force-release.test.ts";

export const sqlApi: readonly Mutant[] = [
  {
    name: "attach: a connection takes its own locks for free",
    file: "src/sql/sessions/_is_dead.sql",
    edits: [
      ["if leasehold_internal._holds_presence(session) then\n    return false;", "if false then\n    return false;"],
    ],
    tests: attach,
  },
  {
    name: "SQL API: the collation of a key is the caller's",
    file: "src/sql/api/try_acquire.sql",
    edits: [['array[try_acquire.key collate "C"]', "array[try_acquire.key]"]],
    tests: ["test/sql-api/arguments.test.ts"],
  },
  {
    name: "try_acquire: a failed try lowers the durability of the caller's transaction",
    file: "src/sql/api/try_acquire.sql",
    edits: [["raise exception using errcode = 'LHX01', message = 'not granted';", "null;"]],
    tests: locks,
  },
  {
    name: "try_acquire: a refused try keeps the key locked until the caller's transaction ends",
    file: "src/sql/api/try_acquire.sql",
    edits: [["raise exception using errcode = 'LHX01', message = 'not granted';", "null;"]],
    tests: ["test/sql-api/shares.test.ts"],
  },
  {
    name: "release in SQL: a row that is locked for a moment is given up",
    file: "src/sql/api/release.sql",
    edits: [["exit when answer.outcome <> 'busy' or attempt = 10;", "exit;"]],
    tests: locks,
  },
  {
    name: "release in SQL: a lease that had expired counts as held",
    file: "src/sql/api/release.sql",
    edits: [["return answer.outcome = 'released';", "return answer.outcome in ('released', 'expired');"]],
    tests: locks,
  },
  {
    name: "attach: presence is believed, not seen",
    file: "src/sql/api/_own_session.sql",
    edits: [["if not found or not leasehold_internal._holds_presence(given) then", "if not found then"]],
    tests: attach,
  },
  {
    name: "attach: the number of anybody's session will do",
    file: "src/sql/api/_own_session.sql",
    edits: [
      [
        "where s.id = given and s.pid = pg_backend_pid();\n    if not found or not leasehold_internal._holds_presence(given) then",
        "where s.id = given;\n    if not found then",
      ],
    ],
    tests: attach,
  },
  {
    name: "attach: a heartbeat that writes nothing",
    file: "src/sql/api/attach.sql",
    edits: [["set seen_at = clock_timestamp(),\n           owner = case", "set owner = case"]],
    tests: attach,
  },
  {
    name: "detach: keeps the presence lock",
    file: "src/sql/api/detach.sql",
    edits: [["  perform pg_advisory_unlock(:presence_class, detach.session);\n", ""]],
    tests: attach,
  },
  {
    name: "force_release: what was revoked is free now",
    file: "src/sql/leases/admin_force_release.sql",
    edits: [["        freeat := leasehold_internal._ms(lease.expires_at);\n", "        freeat := null;\n"]],
    tests: [forced, ...locks],
  },
  {
    name: "force_release: who held a lease that is over is waited for",
    file: "src/sql/leases/admin_force_release.sql",
    edits: [
      [
        "has_ended := lease.token is null or leasehold_internal._is_grantable(lease);",
        "has_ended := lease.token is null;",
      ],
    ],
    tests: [forced],
  },
  {
    name: "force_release: a minimum hold is ended by immediate alone",
    file: "src/sql/leases/admin_force_release.sql",
    edits: [["not coalesce(lease.hold_until", "not coalesce(p_immediate and lease.hold_until"]],
    tests: [forced],
  },
  {
    name: "force_release: a key that a transaction alone keeps is taken for free",
    file: "src/locker/force-release.ts",
    edits: [["if (!answer.isBlocked) return null;", "return null;"]],
    tests: [forced],
  },
  {
    name: "force_release: a first grant that is not committed is none",
    file: "src/sql/leases/admin_force_release.sql",
    edits: [["    if blocked or exists (", "    if exists ("]],
    tests: [forced],
  },
  {
    name: "force_release: the transaction that keeps the key is not told",
    file: "src/sql/leases/admin_force_release.sql",
    edits: [["    if blocker = pg_backend_pid() then", "    if true then"]],
    tests: [forced],
  },
  {
    name: "force_release: a row that is locked for a moment is given up",
    file: "src/sql/leases/admin_force_release.sql",
    edits: [["for attempt in 1..100 loop", "for attempt in 100..100 loop"]],
    tests: [forced],
  },
  {
    name: "force_release: its own transaction is in its way",
    file: "src/sql/leases/_open_transactions.sql",
    edits: [["order by t.pid is not distinct from pg_backend_pid(), t.pid,", "order by t.pid,"]],
    tests: [forced],
  },
  {
    name: "force_release: which right is missing is not told",
    file: "src/sql/rights/require_admin.sql",
    edits: [["if not has_function_privilege(needed, 'execute') then", "if false then"]],
    tests: ["test/sql-api/rights.test.ts", "test/inspect/roles.test.ts"],
  },
  {
    name: "force_release: whoever may lock, may",
    file: "src/sql/rights/_profiles.sql",
    edits: [[" and left(p.proname, 6) <> 'admin_'\n", "\n"]],
    tests: ["test/sql-api/rights.test.ts", "test/migrate/rights.test.ts"],
  },
  {
    name: "call acquire: granted inside of a transaction, where a rollback takes it back",
    file: "src/sql/api/acquire.sql",
    edits: [
      ["begin\n  commit;\n  loop\n", "begin\n  loop\n"],
      ["    commit;\n    exit when is_done;\n", "    exit when is_done;\n    commit;\n"],
    ],
    tests: acquirePlaces,
  },
  {
    name: "call acquire: the grant waits for what its caller does next",
    file: "src/sql/api/acquire.sql",
    edits: [["    commit;\n    exit when is_done;\n", "    exit when is_done;\n    commit;\n"]],
    tests: acquirePlaces,
  },
  {
    name: "call acquire: keeps its snapshot while it waits",
    file: "src/sql/api/acquire.sql",
    edits: [
      ["    commit;\n    exit when is_done;\n", "    exit when is_done;\n"],
      ["    perform pg_catalog.pg_sleep(seconds);\n    commit;\n", "    perform pg_catalog.pg_sleep(seconds);\n"],
    ],
    tests: acquire,
  },
  {
    name: "paths: a procedure compares by whoever's operator",
    file: "src/sql/api/acquire.sql",
    edits: [["exit when is_done;", "exit when is_done = true;"]],
    tests: ["test/trust/bodies.test.ts", "test/trust/traps.test.ts"],
  },
  {
    name: "call acquire: does not join the queue",
    file: "src/sql/api/look.sql",
    edits: [["bound + 1000, now < bound, ticket", "bound + 1000, false, ticket"]],
    tests: [...acquire, ...acquireTurns],
  },
  {
    name: "call acquire: stays in the queue when its wait is over",
    file: "src/sql/api/look.sql",
    edits: [['if leasehold_internal._remove_entry(look.key collate "C", token) then', "if false then"]],
    tests: acquireEnds,
  },
  {
    name: "call acquire: who is next is not woken when a wait is over",
    file: "src/sql/api/look.sql",
    edits: [["      if leasehold_internal._is_root_free(lease) then\n", "      if false then\n"]],
    tests: acquireEnds,
  },
  {
    name: "call acquire: a wait that is over frees the lease of its token",
    file: "src/sql/api/look.sql",
    edits: [
      [
        'if leasehold_internal._remove_entry(look.key collate "C", token) then',
        "perform leasehold_internal.abandon(true, array[look.key], array[token], array[false], array[false]);\n    if false then",
      ],
    ],
    tests: acquire,
  },
  {
    name: "call acquire: a look that comes too late is granted",
    file: "src/sql/api/look.sql",
    edits: [["metadata::text, bound + 1000, now", "metadata::text, 'infinity', now"]],
    tests: acquireEnds,
  },
  {
    name: "call acquire: a stranger's insert is an error",
    file: "src/sql/api/look.sql",
    edits: [["exception when lock_not_available or deadlock_detected then", "exception when division_by_zero then"]],
    tests: acquire,
  },
  {
    name: "call acquire: the token of its caller is not used",
    file: "src/sql/api/look.sql",
    edits: [["token := coalesce(token, gen_random_uuid());", "token := gen_random_uuid();"]],
    tests: acquire,
  },
  {
    name: "call acquire: who waits for long looks as often as who has just come",
    file: "src/sql/api/_seconds_to_look.sql",
    edits: [["(now - greatest(since, lease.changed)) / 20,", "0,"]],
    tests: acquireTurns,
  },
  {
    name: "call acquire: who is far behind looks as often as the first",
    file: "src/sql/api/_seconds_to_look.sql",
    edits: [["10 + ahead * place_ms)", "10)"]],
    tests: acquireTurns,
  },
  {
    name: "call acquire: the dead ahead count",
    file: "src/sql/api/_seconds_to_look.sql",
    edits: [[" and w.alive_until > clock_timestamp()\n", "\n"]],
    tests: acquireTurns,
  },
];
