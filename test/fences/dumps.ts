// Two ways to dump a database and restore it: with Postgres's own programs, and on any machine by what those do.
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type postgres from "postgres";
import { wholeSchema } from "../../src/cli/migration-script.js";
import { openClient } from "../support/client.js";
import { type ServerBinaries, serverEnvironment, systemBinaries } from "../support/server-binaries.js";

const run = promisify(execFile);

/**
 * - `fresh`: into an empty database
 * - `in place`: over what is there (`pg_restore --clean`)
 * - `in one transaction`: the same with `--single-transaction`
 * - `data only`: into the tables, which are emptied first
 * - `schema only`: into an empty database, without the rows
 */
export type How = "fresh" | "in place" | "in one transaction" | "data only" | "schema only";

export interface Dump {
  restore(url: string, how: How): Promise<void>;
}

export interface Dumper {
  readonly name: string;
  /** The server that it works with; undefined: any. */
  readonly binaries?: ServerBinaries;
  dump(url: string): Promise<Dump>;
}

/** Runs something in a database over a connection of its own. */
export async function inside<Result>(url: string, body: (sql: postgres.Sql) => Promise<Result>): Promise<Result> {
  const sql = await openClient(url);
  try {
    return await body(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const tableNames = `
  select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('leasehold', 'leasehold_internal') and c.relkind = 'r' order by 1`;
const sequenceNames = `
  select sequencename as name from pg_sequences where schemaname = 'leasehold' order by 1`;

/** The migrations are run anew, and the rows written as they were. */
export const replay: Dumper = {
  name: "replayed",
  async dump(url) {
    const { rows, positions } = await inside(url, async (sql) => {
      const rows: [table: string, row: string][] = [];
      for (const { name } of await sql.unsafe(tableNames)) {
        for (const { row } of await sql.unsafe(`select to_jsonb(t)::text as row from ${name} t`)) {
          rows.push([name, row]);
        }
      }
      const positions: [sequence: string, value: string, isCalled: boolean][] = [];
      for (const { name } of await sql.unsafe(sequenceNames)) {
        const [at] = await sql.unsafe(`select last_value, is_called from leasehold.${name}`);
        positions.push([name, at?.last_value, at?.is_called]);
      }
      return { rows, positions };
    });
    const empty = async (sql: postgres.Sql) => {
      const tables = (await sql.unsafe(tableNames)).map(({ name }) => name);
      await sql.unsafe(`truncate ${tables.join()}`);
    };
    const fill = async (sql: postgres.Sql) => {
      for (const [table, row] of rows) {
        const text = `insert into ${table} select * from jsonb_populate_record(null::${table}, $1::text::jsonb)`;
        await sql.unsafe(text, [row]);
      }
      for (const [sequence, value, isCalled] of positions) {
        await sql.unsafe(`select setval('leasehold.${sequence}', ${value}, ${isCalled})`);
      }
    };
    const restore = async (sql: postgres.Sql, how: How) => {
      if (how.startsWith("in ")) await sql.unsafe("drop schema leasehold, leasehold_internal cascade");
      if (how !== "data only") for (const statement of await wholeSchema()) await sql.unsafe(statement);
      await empty(sql);
      if (how !== "schema only") await fill(sql);
    };
    return {
      restore: (to, how) =>
        inside(to, async (sql) => {
          await sql`set client_min_messages = error`;
          if (how !== "in one transaction") return restore(sql, how);
          await sql.begin((tx) => restore(tx as unknown as postgres.Sql, how));
        }),
    };
  },
};

/** pg_dump and pg_restore, for the server that was installed with them; undefined where that is none. */
export async function findPrograms(): Promise<Dumper | undefined> {
  const binaries = await systemBinaries();
  if (binaries === undefined) return undefined;
  const program = async (name: string, args: readonly string[], input = Buffer.alloc(0)) => {
    const options = { env: serverEnvironment(), encoding: "buffer", maxBuffer: 64 * 1024 * 1024 } as const;
    const running = run(join(dirname(binaries.postgres), name), args, options);
    running.child.stdin?.on("error", () => undefined); // it may end without reading; its status says whether that is well
    running.child.stdin?.end(input);
    return (await running).stdout;
  };
  try {
    await Promise.all([program("pg_dump", ["--version"]), program("pg_restore", ["--version"])]);
  } catch {
    return undefined;
  }
  const flags: Readonly<Record<How, readonly string[]>> = {
    fresh: [],
    "in place": ["--clean", "--if-exists"],
    "in one transaction": ["--clean", "--if-exists", "--single-transaction"],
    "data only": ["--data-only"],
    "schema only": ["--schema-only"],
  };
  return {
    name: "pg_dump",
    binaries,
    async dump(url) {
      const dumped = await program("pg_dump", ["--format=custom", url]);
      return {
        async restore(to, how) {
          if (how === "data only") {
            await inside(to, async (sql) => {
              const tables = (await sql.unsafe(tableNames)).map(({ name }) => name);
              await sql.unsafe(`truncate ${tables.join()}`);
            });
          }
          await program("pg_restore", [...flags[how], "--exit-on-error", `--dbname=${to}`], dumped);
        },
      };
    },
  };
}
