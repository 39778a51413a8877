import { guardBlock } from "../postgres/connection/owners.js";
import { applyMigrations, LAST_MIGRATION } from "../postgres/schema/apply-migrations.js";
import { notTheOwner } from "../postgres/schema/migrate-errors.js";
import {
  CREATE_SCHEMAS,
  hasStrayRights,
  isUsable,
  lookAtSchema,
  lookAtServer,
  refuseOwners,
  refuseServer,
  rolesWithoutUsage,
  TIDY_RIGHTS,
} from "../postgres/schema/migrate-state.js";
import { migrations } from "../postgres/schema/migrations.generated.js";
import { madeWithoutRows, missingRows } from "../postgres/schema/restore-rows.js";
import { quoteLiteral } from "../runtime/quote.js";
import type { Database } from "./database.js";

/**
 * What `migrate()` would run in this database. The migrator itself runs against a recorder, so the script cannot differ.
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
  const hasSchemas = await refuseOwners(reader, "migrator");
  const schema = hasSchemas ? await lookAtSchema(reader, server) : null;
  const isDone = isUsable(schema);
  if (!isDone) {
    await refuseOwners(reader, "creator");
    if (server.owner !== null && !server.isOwner) throw notTheOwner(server);
  }
  const made = hasSchemas && schema === null ? await madeWithoutRows(reader) : null;
  const statements = isDone
    ? []
    : made === null
      ? await pendingIn(database)
      : [...missingRows(made), ...(await after(made))];
  const isStray = isDone && server.isOwner && (await hasStrayRights(reader));
  // Rights that were not given by grant_usage are revoked, so these roles need a grant afterwards.
  const lacking = isDone && !isStray ? await rolesWithoutUsage(reader, roles) : [...new Set(roles)];
  const grants = lacking.map((role) => `select leasehold.grant_usage(${quoteLiteral(role)})`);
  const all = [...statements, ...(isStray ? [TIDY_RIGHTS] : []), ...grants];
  return all.length === 0 ? [] : [...preamble(hasSchemas), ...all];
}

async function pendingIn(database: Database): Promise<readonly string[]> {
  const hasTable = await isMade(database, "leasehold.migrations");
  return record((text) => (hasTable ? database.query(text) : []));
}

/** The statements after this many migrations. Empty when those are all. */
async function after(made: number): Promise<readonly string[]> {
  const last = migrations[made - 1];
  return made >= migrations.length || last === undefined ? [] : record(() => [{ created_at: last.when }]);
}

/** The statements that create the schema. */
export async function wholeSchema(): Promise<readonly string[]> {
  return [...preamble(false), ...(await record(() => []))];
}

/**
 * Comes before anything else: objects keep this search path for good, and nothing that belongs to somebody else may be touched. The owners
 * are checked again once the schemas exist, because until then somebody else may create them.
 */
function preamble(hasSchemas: boolean): readonly string[] {
  const guard = guardBlock();
  return ["set local search_path = pg_catalog, pg_temp", guard, ...(hasSchemas ? [] : [...CREATE_SCHEMAS, guard])];
}

/** A script for psql or any other client. It is run completely or not at all. */
export function script(statements: readonly string[]): string {
  const lines = statements.map((statement) => `${statement.trim().replace(/;$/, "")};`);
  return `begin;\n\n${lines.join("\n\n")}\n\ncommit;\n`;
}

type Rows = readonly Readonly<Record<string, unknown>>[];

/** Lets the migrator read, and records what it wants to write. */
async function record(read: (text: string) => Rows | Promise<Rows>): Promise<readonly string[]> {
  const statements: string[] = [];
  await applyMigrations({
    query: async (text, parameters = []) => {
      if (text === LAST_MIGRATION) return await read(text);
      // Function bodies contain a $1 of their own. Statements with them have no parameters.
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
    `select exists (
       select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
        where n.nspname operator(pg_catalog.=) $1::pg_catalog.name and c.relname operator(pg_catalog.=) $2::pg_catalog.name) as made`,
    table.split("."),
  );
  return row?.made === true;
}
