// plpgsql_check reads every function as if each of its lines were reached: a column that is not there, a type that does not fit,
// a variable that nobody reads. The embedded Postgres does not have it, so this asks the one that is installed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { systemBinaries } from "../support/server-binaries.js";

interface Finding {
  readonly function: string;
  /** error, warning, warning extra, performance, security */
  readonly level: string;
  readonly line: number | null;
  readonly message: string;
  readonly detail: string | null;
}

/** What it finds and we keep. `in`: the function; everywhere, if left out. */
const allowed: readonly { in?: string; level: string; message: RegExp; why: string }[] = [
  {
    level: "warning extra",
    message: /^never read variable "ignored"/,
    why: "To assign what a function returns costs nothing, while perform runs a query.",
  },
  {
    in: "leasehold_internal._refuse_terms",
    level: "performance",
    message: /^routine is marked as VOLATILE, should be IMMUTABLE/,
    why: "An immutable function is called while its caller is planned, and this one fails.",
  },
  {
    level: "performance",
    message: /^target type is different type than source type/,
    why: "A cast that an assignment makes checks the range, as a written one would, and costs nothing beside the statement.",
  },
  {
    in: "leasehold_internal._locker",
    level: "warning",
    message: /^target type is different type than source type: cast "text" value to "numeric" type/,
    why: "The number of a transaction (xid8) has no cast to a number, only its digits.",
  },
  {
    in: "leasehold_internal._guarded_keys",
    level: "performance",
    message: /^routine is marked as VOLATILE, should be STABLE/,
    why: "It reads a setting that the same statement may have written before, and whether the transaction has a number by now.",
  },
  {
    in: "leasehold_internal._ticket_of",
    level: "performance",
    message: /^routine is marked as VOLATILE, should be STABLE/,
    why: "It must see what its caller's statement has written so far: a stable function has the snapshot of the statement.",
  },
  {
    in: "leasehold_internal._refuse_missing_rows",
    level: "performance",
    message: /^routine is marked as STABLE, should be IMMUTABLE/,
    why: "It only raises an error. The planner runs an immutable function, and would raise it where the rows are there.",
  },
  {
    in: "leasehold_internal._tidy_rights",
    level: "security",
    message: /^text type variable is not sanitized/,
    why: "Every name in the statement is quoted: by quote_ident, or as stray_rights() gives it, with format(%I) or regprocedure.",
  },
  {
    in: "leasehold_internal.check_key_expression",
    level: "security",
    message: /^text type variable is not sanitized/,
    why: "The key is an SQL expression on purpose, by whoever may make triggers on the table, and runs with no other rights than his.",
  },
];

let cluster: Cluster | undefined;
let database: TestDatabase | undefined;

beforeAll(async () => {
  const binaries = await systemBinaries();
  if (binaries === undefined) return;
  cluster = await startCluster({ binaries });
  const sql = await cluster.sql();
  const [extension] = await sql`select from pg_available_extensions where name = 'plpgsql_check'`;
  if (extension === undefined) return;
  database = await createDatabase({ on: cluster });
  await database.sql`create extension plpgsql_check schema public`;
  await database.sql`create table public.protected (id bigint primary key, fence bigint)`; // for the trigger functions
});

afterAll(async () => {
  await database?.drop();
  await cluster?.destroy();
});

describe("plpgsql_check", () => {
  test("finds nothing in any function that is not allowed here, with a reason", async ({ skip }) => {
    if (database === undefined) return skip(say());
    const findings = await check(database);
    expect(findings.length).toBeGreaterThan(0); // hidden casts, at least: it did look
    const refused = findings.filter(
      (found) =>
        !allowed.some(
          ({ in: name, level, message }) =>
            (name ?? found.function) === found.function && level === found.level && message.test(text(found)),
        ),
    );
    expect(refused.map((found) => `${found.function}, line ${found.line}, ${found.level}: ${text(found)}`)).toEqual([]);
  });

  test("would find a column that is not there, in a line that nothing reaches", async ({ skip }) => {
    if (database === undefined) return skip(say());
    await database.sql.unsafe(`
      create function leasehold_internal.broken() returns void language plpgsql as $$
      begin
        if false then perform l.no_such_column from leasehold.leases l; end if;
      end $$`);
    const findings = await check(database);
    await database.sql`drop function leasehold_internal.broken()`;
    expect(findings.filter(({ level }) => level === "error")).toMatchObject([
      { function: "leasehold_internal.broken", message: "column l.no_such_column does not exist" },
    ]);
  });
});

function say(): string {
  const missing =
    "plpgsql_check is not installed, the functions are NOT checked. Debian: postgresql-<version>-plpgsql-check";
  console.warn(`[tests] !!! ${missing}`);
  return missing;
}

function text({ message, detail }: Finding): string {
  return detail === null ? message : `${message}: ${detail}`;
}

async function check({ sql }: TestDatabase): Promise<Finding[]> {
  const rows = await sql<Finding[]>`
    select n.nspname || '.' || p.proname as function, c.level, c.lineno as line, c.message, c.detail
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
     cross join lateral public.plpgsql_check_function_tb(
       p.oid::regprocedure, case when p.prorettype = 'trigger'::regtype then 'public.protected'::regclass else 0 end,
       fatal_errors => false, other_warnings => true, extra_warnings => true, performance_warnings => true,
       security_warnings => true) c
     where n.nspname in ('leasehold', 'leasehold_internal') and l.lanname = 'plpgsql'
     order by 1, 3`;
  return [...rows];
}
