import { NotPermittedError } from "../errors.js";
import { applyMigrations } from "../postgres/apply-migrations.js";
import { isUsable, lookAtSchema, lookAtServer, refuseServer, rolesWithoutUsage } from "../postgres/migrate-state.js";
import { migrations } from "../postgres/migrations.generated.js";
import { quoteIdentifier, quoteLiteral } from "../postgres/quote.js";
import { madeWithoutRows, missingRows } from "../postgres/restore-rows.js";
import type { Database } from "./database.js";

/**
 * What `migrate()` would run in this database, written down instead of run: the migrator itself says it, so that it is the same.
 * Empty when there is nothing to do.
 */
export async function pendingMigration(database: Database, roles: readonly string[]): Promise<readonly string[]> {
  const reader = {
    query: (text: string, parameters: readonly string[] = []) => database.query(text, parameters),
    end: async () => undefined,
    destroy: () => undefined,
  };
  const server = await lookAtServer(reader);
  refuseServer(server);
  const schema = await lookAtSchema(reader, server);
  const isDone = isUsable(schema);
  if (!isDone && server.owner !== null && !server.isOwner) {
    const { owner, role } = server;
    throw new NotPermittedError({ statement: `grant ${quoteIdentifier(owner)} to ${quoteIdentifier(role)};`, role });
  }
  const made = schema === null ? await madeWithoutRows(reader) : null;
  const statements = isDone
    ? []
    : made === null
      ? await pendingIn(database)
      : [...missingRows(made), ...(await after(made))];
  const lacking = server.owner === null ? [...new Set(roles)] : await rolesWithoutUsage(reader, roles);
  return [...statements, ...lacking.map((role) => `select leasehold.grant_usage(${quoteLiteral(role)})`)];
}

async function pendingIn(database: Database): Promise<readonly string[]> {
  const hasTable = await isMade(database, "leasehold.migrations");
  return record((text) => (hasTable ? database.query(text) : []));
}

/** What comes after so many migrations; nothing when those are all. */
async function after(made: number): Promise<readonly string[]> {
  const last = migrations[made - 1];
  return made >= migrations.length || last === undefined ? [] : record(() => [{ created_at: last.when }]);
}

/** What makes the schema where there is none. */
export function wholeSchema(): Promise<readonly string[]> {
  return record(() => []);
}

/** To be run by psql, or any other client: all of it or nothing. */
export function script(statements: readonly string[]): string {
  const lines = statements.map((statement) => `${statement.trim().replace(/;$/, "")};`);
  return `begin;\n\n${lines.join("\n\n")}\n\ncommit;\n`;
}

type Rows = readonly Readonly<Record<string, unknown>>[];

/** Lets the migrator read, and notes down what it writes. */
async function record(read: (text: string) => Rows | Promise<Rows>): Promise<readonly string[]> {
  const statements: string[] = [];
  await applyMigrations({
    query: async (text, parameters = []) => {
      if (text.startsWith("select id, hash, created_at from")) return await read(text);
      // The bodies of functions have a $1 of their own, and no parameters come with them.
      const isTemplate = parameters.length > 0;
      const value = (_: string, number: string) => quoteLiteral(parameters[Number(number) - 1] ?? "");
      statements.push(isTemplate ? text.replaceAll(/\$(\d+)/g, value) : text);
      return [];
    },
    end: async () => undefined,
    destroy: () => undefined,
  });
  return statements;
}

async function isMade(database: Database, table: string): Promise<boolean> {
  const [row] = await database.query(
    `select exists (select from pg_class c where c.relnamespace = (select n.oid from pg_namespace n where n.nspname = $1)
       and c.relname = $2) as made`,
    table.split("."),
  );
  return row?.made === true;
}
