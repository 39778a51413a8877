import { NotPermittedError, UnsafeBackendError, UnsupportedError } from "../../errors/errors.js";
import { quoteIdentifier, quoteLiteral } from "../../runtime/quote.js";
import { foreignObjects, refuseForeign } from "../connection/owners.js";
import { SCHEMA_INFO } from "../connection/schema-check.js";
import { CLIENT_VERSION, SCHEMA_VERSION } from "../connection/schema-version.js";

/** One connection to one backend, which never changes to another by itself. */
export interface MigrationConnection {
  query(text: string, parameters?: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  end(): Promise<unknown>;
  /** Cuts it at once: what is in flight rejects. */
  destroy(): void;
}

/** Where a migration runs, and as whom. */
export interface Server {
  readonly database: string;
  readonly role: string;
  /** The server process that looks. */
  readonly pid: number;
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  /** The role that the schema leasehold belongs to; null when there is no such schema. */
  readonly owner: string | null;
  /** Whether the role is the owner, or a member of it. */
  readonly isOwner: boolean;
}

/** What `leasehold_internal.schema_info()` tells. */
export interface SchemaInfo {
  readonly version: number;
  readonly minClient: number;
}

export async function lookAtServer(connection: MigrationConnection): Promise<Server> {
  const [row] = await connection.query(`
    select pg_catalog.current_database()::pg_catalog.text as database, current_user::pg_catalog.text as role,
           pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_is_in_recovery() as standby,
           pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'on' as readonly,
           pg_catalog.pg_get_userbyid(n.nspowner)::pg_catalog.text as owner, pg_catalog.pg_has_role(n.nspowner, 'usage') as isowner
    from (values (1)) as one left join pg_catalog.pg_namespace n on n.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name`);
  return {
    database: String(row?.database),
    role: String(row?.role),
    pid: Number(row?.pid),
    isStandby: row?.standby === true,
    isReadOnly: row?.readonly === true,
    owner: typeof row?.owner === "string" ? row.owner : null,
    isOwner: row?.isowner === true,
  };
}

export function refuseServer(server: Server): void {
  if (server.isStandby) {
    throw new UnsafeBackendError({
      problem: "This server is a standby: nothing can be migrated there",
      remedy: "Give migrate() the address of the primary",
    });
  }
  if (server.isReadOnly) {
    throw new UnsafeBackendError({
      problem: "Transactions are read-only here (default_transaction_read_only)",
      remedy: `Find out why, then allow writing: alter role ${quoteIdentifier(server.role)} in database ${quoteIdentifier(server.database)} set default_transaction_read_only = off;`,
    });
  }
}

/**
 * Before anything in the schemas is called, and also where nothing is to be done: a superuser's call of a squatter's function
 * made the squatter superuser. Whether both schemas are there, see `foreignObjects`.
 */
export async function refuseOwners(connection: MigrationConnection, trust: "creator" | "migrator"): Promise<boolean> {
  return refuseForeign(await connection.query(foreignObjects(trust)), "Migrate");
}

export const CREATE_SCHEMAS: readonly string[] = ["leasehold", "leasehold_internal"].map(
  (schema) => `create schema if not exists ${schema}`,
);

/** Makes the schemas first, so that nobody else can. */
export async function claimSchemas(connection: MigrationConnection): Promise<void> {
  await refuseOwners(connection, "creator");
  for (const statement of CREATE_SCHEMAS) await connection.query(statement);
  // Somebody else may have been faster.
  if (!(await refuseOwners(connection, "creator"))) {
    throw new UnsafeBackendError({
      problem:
        "Somebody else made a schema leasehold or leasehold_internal, and dropped it again, while this was to make it",
      remedy: "Find out who may create schemas in this database, then migrate again",
    });
  }
}

/** The schema's version; null when there is none that tells. Never fails for a missing right alone, but says which. */
export async function lookAtSchema(connection: MigrationConnection, server: Server): Promise<SchemaInfo | null> {
  // Asked of the catalog, for anybody may read that: to_regprocedure() fails without usage on the schema.
  const [found] = await connection.query(`
    select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_function_privilege(p.oid, 'execute') as callable
    from pg_catalog.pg_namespace n join pg_catalog.pg_proc p on p.pronamespace operator(pg_catalog.=) n.oid
    where n.nspname operator(pg_catalog.=) 'leasehold_internal'::pg_catalog.name
      and p.proname operator(pg_catalog.=) 'schema_info'::pg_catalog.name`);
  if (found === undefined) return null;
  if (found.callable !== true) {
    const statement = `select leasehold.grant_usage(${quoteLiteral(server.role)});`;
    throw new NotPermittedError({ statement, role: server.role });
  }
  const [row] = await connection.query(SCHEMA_INFO);
  return row === undefined ? null : { version: Number(row.version), minClient: Number(row.minclient) };
}

/** Whether there is nothing left to migrate. */
export function isUsable(schema: SchemaInfo | null): boolean {
  if (schema === null || schema.version < SCHEMA_VERSION) return false;
  if (schema.minClient > CLIENT_VERSION) {
    throw new UnsupportedError({
      message: `The schema leasehold has version ${schema.version}, which needs a client of version ${schema.minClient} or later; this one is ${CLIENT_VERSION}. Update the package leasehold.`,
    });
  }
  return true;
}

/** In the schema leasehold, what `grant_usage` does not give: that is for its owner and for administrators. */
const operatorsOnly = ["grant_usage", "grant_monitoring", "grant_admin", "bump_epoch", "reset_fence"];

/** Those that lack a right which `grant_usage` gives. Read first, so that a boot that changes nothing writes nothing. */
export async function rolesWithoutUsage(
  connection: MigrationConnection,
  roles: readonly string[],
): Promise<readonly string[]> {
  const lacking: string[] = [];
  for (const role of new Set(roles)) {
    const rows = await connection.query(
      `select from pg_catalog.pg_roles r
       where r.rolname operator(pg_catalog.=) $1::pg_catalog.name
         and not exists (
           select from pg_catalog.pg_namespace n
           where n.nspname operator(pg_catalog.=) any ('{leasehold,leasehold_internal}'::pg_catalog.name[])
             and not pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage'))
         and not exists (
           select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
           where not pg_catalog.has_function_privilege(r.oid, p.oid, 'execute')
             and pg_catalog.left(p.proname::pg_catalog.text, 1) operator(pg_catalog.<>) '_'
             and case when n.nspname operator(pg_catalog.=) 'leasehold_internal'::pg_catalog.name
                   then pg_catalog.left(p.proname::pg_catalog.text, 6) operator(pg_catalog.<>) 'admin_'
                   else n.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name
                    and p.proname operator(pg_catalog.<>) all ('{${operatorsOnly.join()}}'::pg_catalog.name[]) end)`,
      [role],
    );
    if (rows.length === 0) lacking.push(role);
  }
  return lacking;
}

/** Whether somebody has a right that no `grant_...` gave, or lacks one that it did. Takes the right to call it: the owner's. */
export async function hasStrayRights(connection: MigrationConnection): Promise<boolean> {
  return (await connection.query("select from leasehold_internal.stray_rights() limit 1")).length > 0;
}

/** Takes and gives what `hasStrayRights` found. */
export const TIDY_RIGHTS = "select leasehold_internal._tidy_rights()";
