// Faults in whose code may run, and in who has which right.
import type { Mutant } from "./mutant.js";

const roles = ["test/inspect/roles.test.ts"];
const strays = ["test/trust/stray-rights.test.ts"];
const whose = "src/postgres/connection/owners.ts";
const owners = ["test/trust/owners.test.ts"];

export const trust: readonly Mutant[] = [
  {
    name: "roles: whoever monitors may call what the client calls",
    file: "src/sql/rights/_profiles.sql",
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
    file: "src/sql/rights/_profiles.sql",
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
    file: "src/sql/rights/stray_rights.sql",
    edits: [["   where a.grantee <> o.owner\n", "   where a.grantee = 0\n"]],
    tests: strays,
  },
  {
    name: "rights: who lost a right that was granted does not get it back",
    file: "src/sql/rights/_tidy_rights.sql",
    edits: [
      [
        "from leasehold_internal.stray_rights() s where s.is_missing\n",
        "from leasehold_internal.stray_rights() s where false\n",
      ],
    ],
    tests: strays,
  },
  {
    name: "rights: a wholesale revoke takes the marks, too",
    file: "src/sql/rights/_tidy_rights.sql",
    edits: [["    execute mark;\n", "    null;\n"]],
    tests: strays,
  },
  {
    name: "rights: a missing right on a public function is not noticed",
    file: "src/postgres/schema/migrate-state.ts",
    edits: [["else n.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name\n", "else false\n"]],
    tests: strays,
  },
  {
    name: "owners: whose the schemas are makes no difference",
    file: whose,
    edits: [["where not exists (select from trusted t", "where false and not exists (select from trusted t"]],
    tests: owners,
  },
  {
    name: "owners: a superuser trusts whoever the owner is",
    file: whose,
    edits: [["::pg_catalog.name and not me.rolsuper and ", "::pg_catalog.name and "]],
    tests: owners,
  },
  {
    name: "owners: whoever may make a schema trusts one that is there",
    file: whose,
    edits: [
      ['  creator: "false",', '  creator: "true",'],
      ["not pg_catalog.has_database_privilege(", "true or pg_catalog.has_database_privilege("],
    ],
    tests: owners,
  },
  {
    name: "owners: a trigger may run anybody's function",
    file: whose,
    edits: [
      ["join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) t.tgfoid\n", "join pg_catalog.pg_proc p on false\n"],
    ],
    tests: owners,
  },
  {
    name: "owners: a schema that is open to everybody is called",
    file: whose,
    edits: [["a.grantee operator(pg_catalog.=) 0::pg_catalog.oid and", "false and"]],
    tests: owners,
  },
  {
    name: "owners: a client calls what it has not looked at",
    file: "src/postgres/connection/connect.ts",
    edits: [
      ["const hasSchemas = trustsOwners || refuseForeign(", "const hasSchemas = !trustsOwners || refuseForeign("],
    ],
    tests: owners,
  },
  {
    name: "owners: where there was no schema, what is made later is trusted",
    file: "src/postgres/connection/connect.ts",
    edits: [["  if (!hasSchemas && !acceptsMissing) throw", "  if (false) throw"]],
    tests: owners,
  },
  {
    name: "owners: migrate() calls what was made since it looked",
    file: "src/postgres/schema/migrate.ts",
    edits: [
      [
        'if ((await refuseOwners(connection, "migrator")) && (await isAllDone(',
        'await refuseOwners(connection, "migrator");\n  if ((await isAllDone(',
      ],
    ],
    tests: owners,
  },
  {
    name: "rights: the plans of whoever guards are printed",
    file: "src/sql/api/guard.sql",
    edits: [
      [
        "create function leasehold.guard(key text, fence bigint, timeout interval default null) returns void\nlanguage plpgsql volatile security definer\nset search_path = pg_catalog, pg_temp\nset debug_print_plan = off\n",
        "create function leasehold.guard(key text, fence bigint, timeout interval default null) returns void\nlanguage plpgsql volatile security definer\nset search_path = pg_catalog, pg_temp\n",
      ],
    ],
    tests: ["test/migrate/rights.test.ts"],
  },
  {
    name: "owners: over a given client nothing is looked at",
    file: "src/postgres/postgres-backend.ts",
    edits: [["    await this.#connections.refuseForeign();\n", ""]],
    tests: owners,
  },
  {
    name: "owners: the printed script does not look",
    file: "src/cli/migration-script.ts",
    edits: [
      [
        'return ["set local search_path = pg_catalog, pg_temp", guard, ...(hasSchemas ? [] : [...CREATE_SCHEMAS, guard])];',
        'return ["set local search_path = pg_catalog, pg_temp", ...(hasSchemas ? [] : CREATE_SCHEMAS)];',
      ],
    ],
    tests: ["test/cli/migrate.test.ts"],
  },
  {
    name: "owners: the printed script goes on after it has looked",
    file: whose,
    edits: [["raise exception using errcode = 'LH004',", "raise warning using errcode = 'LH004',"]],
    tests: owners,
  },
  {
    name: "paths: the printed script binds what its runner's path has",
    file: "src/cli/migration-script.ts",
    edits: [
      [
        'return ["set local search_path = pg_catalog, pg_temp", guard, ...(hasSchemas ? [] : [...CREATE_SCHEMAS, guard])];',
        "return [guard, ...(hasSchemas ? [] : [...CREATE_SCHEMAS, guard])];",
      ],
    ],
    tests: ["test/trust/traps.test.ts"],
  },
  {
    name: "paths: a statement asks whoever's function",
    file: "src/postgres/acts/ping.ts",
    edits: [
      [
        "select pg_catalog.current_setting('server_version') as version",
        "select current_setting('server_version') as version",
      ],
    ],
    tests: ["test/trust/texts.test.ts", "test/trust/traps.test.ts"],
  },
  {
    name: "paths: times are made by whoever's operator",
    file: "src/postgres/connection/exact-times.ts",
    edits: [[" operator(pg_catalog.*) 1000::numeric)", " * 1000)"]],
    tests: ["test/trust/texts.test.ts", "test/trust/traps.test.ts"],
  },
  {
    name: "trust: doctor is content with the owner as the application's role",
    file: "src/cli/doctor/trust.ts",
    edits: [["when r.oid operator(pg_catalog.=) n.nspowner then 'owner'", ""]],
    tests: ["test/cli/doctor.test.ts"],
  },
];
