// Faults in the public SQL API.
import type { Mutant } from "./mutant.js";

const file = "migrations/0005_sql_api.sql";
const attach = ["test/sql-api/attach.test.ts"];
const locks = ["test/sql-api/locks.test.ts"];

export const sqlApi: readonly Mutant[] = [
  {
    name: "attach: a connection takes its own locks for free",
    file: "migrations/0001_protocol.sql",
    edits: [
      ["if leasehold_internal._holds_presence(session) then\n    return false;", "if false then\n    return false;"],
    ],
    tests: attach,
  },
  {
    name: "SQL API: the collation of a key is the caller's",
    file,
    edits: [['array[try_acquire.key collate "C"]', "array[try_acquire.key]"]],
    tests: ["test/sql-api/arguments.test.ts"],
  },
  {
    name: "try_acquire: a failed try lowers the durability of the caller's transaction",
    file,
    edits: [["    perform set_config('synchronous_commit', durability, true);\n", ""]],
    tests: locks,
  },
  {
    name: "release in SQL: wakes nobody",
    file,
    edits: [
      [
        "  perform leasehold_internal._wake(answer.wake);\n  return answer.outcome = 'released';",
        "  return answer.outcome = 'released';",
      ],
    ],
    tests: locks,
  },
  {
    name: "release in SQL: a lease that had expired counts as held",
    file,
    edits: [["return answer.outcome = 'released';", "return answer.outcome in ('released', 'expired');"]],
    tests: locks,
  },
  {
    name: "attach: presence is believed, not seen",
    file,
    edits: [["if not found or not leasehold_internal._holds_presence(given) then", "if not found then"]],
    tests: attach,
  },
  {
    name: "attach: the number of anybody's session will do",
    file,
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
    file,
    edits: [["set seen_at = clock_timestamp(), owner = case", "set owner = case"]],
    tests: attach,
  },
  {
    name: "detach: keeps the presence lock",
    file,
    edits: [["  perform pg_advisory_unlock(1279480140, detach.session);\n", ""]],
    tests: attach,
  },
];
