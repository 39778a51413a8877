// Faults in advisoryLock: a transaction that goes on without the lock, or that is left otherwise than it was.
import type { Mutant } from "./mutant.js";

const file = "src/advisory-lock/statements.ts";
const overLibraries = ["test/advisory-lock/libraries.test.ts"];
const refusals = ["test/advisory-lock/refusals.test.ts"];
const numbers = ["test/advisory-lock/number.test.ts"];
const texts = ["test/trust/texts.test.ts"];

export const advisoryLocks: readonly Mutant[] = [
  {
    name: "advisoryLock: outside of a transaction nobody notices (one statement at a time)",
    file,
    edits: [["operator(pg_catalog.>) 0) is not true", "operator(pg_catalog.>) 0) is null and false"]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: outside of a transaction nobody notices (several in one message)",
    file: "src/guard/library.ts",
    edits: [["return ({ proof, mark, statement }) =>", "return ({ mark: proof, mark, statement }) =>"]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: a mark takes the place of another call's",
    file,
    edits: [
      [
        "coalesce(pg_catalog.current_setting('leasehold.advisory_locks', true), '') operator(pg_catalog.||) $1::pg_catalog.text, true)",
        "$1::pg_catalog.text, true)",
      ],
    ],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: a mark stays on the connection",
    file,
    edits: [
      ["operator(pg_catalog.||) $1::pg_catalog.text, true)`", "operator(pg_catalog.||) $1::pg_catalog.text, false)`"],
    ],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: repeatable read is accepted",
    file,
    edits: [["'read committed', 'read uncommitted'", "'read committed', 'repeatable read', 'read uncommitted'"]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: a standby is accepted",
    file,
    edits: [["when pg_catalog.pg_is_in_recovery() then", "when false then"]],
    tests: refusals,
  },
  {
    name: "advisoryLock: the lock_timeout stays",
    file,
    edits: [["         when pg_catalog.set_config('lock_timeout', setting.was, true) is null then 'busy'\n", ""]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: the lock_timeout is read after it was set",
    file,
    edits: [["as materialized (", "as not materialized ("]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: a lower lock_timeout ends the wait",
    file,
    edits: [["pg_catalog.set_config('lock_timeout', $3, true) is null", "$3::pg_catalog.text is null"]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: the lock_timeout is set for the session",
    file,
    edits: [
      ["pg_catalog.set_config('lock_timeout', setting.was, true)", "pg_catalog.set_config('lock_timeout', '0', false)"],
    ],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: a shared one is exclusive",
    file,
    edits: [['shared ? "lock_shared" : "lock"', 'shared ? "lock" : "lock"']],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: a try that found it taken is granted",
    file,
    edits: [["then 'granted' else 'busy'", "then 'granted' else 'granted'"]],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: the number is that of other bytes",
    file,
    edits: [["readBigInt64BE(0)", "readBigInt64LE(0)"]],
    tests: numbers,
  },
  {
    name: "advisoryLock: a transaction of postgres.js that nobody watches is locked in",
    file: "src/advisory-lock/advisory-lock.ts",
    edits: [["if (!acceptReconnect && (await reconnects?.()))", "if (!acceptReconnect && reconnects === null)"]],
    tests: ["test/advisory-lock/postgres-js.test.ts"],
  },
  {
    name: "advisoryLock: a timeout is told as the library's own error",
    file: "src/advisory-lock/advisory-lock.ts",
    edits: [['["55P03", "25P01"]', '["55P04" as "55P03", "25P01"]']],
    tests: overLibraries,
  },
  {
    name: "advisoryLock: an operator from the transaction's path",
    file,
    edits: [["operator(pg_catalog.<>) all (", "<> all ("]],
    tests: texts,
  },
  {
    name: "advisoryLock: Kysely is sent several statements, of which it gives no rows",
    file: "src/guard/kysely.ts",
    edits: [
      ["askInTwo(runOn(connection))", "askInOne(runOn(connection))"],
      ["  askInTwo,\n", "  askInOne,\n"],
    ],
    tests: overLibraries,
  },
];
