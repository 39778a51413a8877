// Faults in whose code may run, and in who has which right.
import type { Mutant } from "./mutant.js";

const rights = "migrations/0001_protocol.sql";
const roles = ["test/inspect/roles.test.ts"];
const strays = ["test/trust/stray-rights.test.ts"];

export const trust: readonly Mutant[] = [
  {
    name: "roles: whoever monitors may call what the client calls",
    file: rights,
    edits: [
      [
        "select 'monitoring', 'schema', n.oid, 0::smallint, 'USAGE' from space n where n.nspname = 'leasehold'",
        "select 'monitoring', p.kind, p.id, p.part, p.privilege from space n cross join (select 'schema' as kind, n.oid as id, 0::smallint as part, 'USAGE' as privilege from space n) p",
      ],
    ],
    tests: roles,
  },
  {
    name: "roles: whoever administers may write the tables",
    file: rights,
    edits: [
      [
        "  select 'admin', 'routine', p.oid, 0::smallint, 'EXECUTE'",
        "  select 'admin', 'table', to_regclass('leasehold.leases')::oid, 0::smallint, 'UPDATE' union all select 'admin', 'routine', p.oid, 0::smallint, 'EXECUTE'",
      ],
    ],
    tests: roles,
  },
  {
    name: "rights: what default privileges give stays",
    file: rights,
    edits: [["   where a.grantee <> o.owner\n", "   where a.grantee = 0\n"]],
    tests: strays,
  },
];
