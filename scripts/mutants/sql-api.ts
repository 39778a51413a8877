// Faults in the public SQL API.
import type { Mutant } from "./mutant.js";

const attach = ["test/sql-api/attach.test.ts"];
const locks = ["test/sql-api/locks.test.ts"];
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
    edits: [["    perform set_config('synchronous_commit', durability, true);\n", ""]],
    tests: locks,
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
];
