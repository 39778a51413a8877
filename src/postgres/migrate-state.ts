import { NotPermittedError, UnsafeBackendError, UnsupportedError } from "../errors.js";
import { quoteIdentifier, quoteLiteral } from "./quote.js";
import { CLIENT_VERSION, SCHEMA_VERSION } from "./schema-version.js";

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
    select current_database()::text as database, current_user::text as role, pg_is_in_recovery() as standby,
           current_setting('transaction_read_only') = 'on' as readonly,
           pg_get_userbyid(n.nspowner)::text as owner, pg_has_role(n.nspowner, 'usage') as isowner
    from (values (1)) as one left join pg_namespace n on n.nspname = 'leasehold'`);
  return {
    database: String(row?.database),
    role: String(row?.role),
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
 * Whoever owns a schema can put code into it. A superuser's functions would run that with a superuser's rights, and so would
 * this migration: on a table named `migrations` that is there already, say. Makes the schemas first, so that nobody else can.
 */
export async function claimSchemas(connection: MigrationConnection, server: Server): Promise<void> {
  for (const schema of ["leasehold", "leasehold_internal"]) {
    await connection.query(`create schema if not exists ${schema}`);
  }
  const [row] = await connection.query(`
    select n.nspname::text as schema, o.rolname::text as owner
    from pg_namespace n join pg_roles o on o.oid = n.nspowner join pg_roles r on r.rolname = current_user
    where n.nspname in ('leasehold', 'leasehold_internal') and r.rolsuper and not o.rolsuper`);
  if (row !== undefined) {
    const owner = quoteIdentifier(String(row.owner));
    throw new UnsafeBackendError({
      problem: `The schema ${row.schema} belongs to ${owner}, who would get the rights of the superuser ${quoteIdentifier(server.role)} through it`,
      remedy: `Migrate as ${owner}, or find out whose it is and drop it`,
    });
  }
}

/** The schema's version; null when there is none that tells. Never fails for a missing right alone, but says which. */
export async function lookAtSchema(connection: MigrationConnection, server: Server): Promise<SchemaInfo | null> {
  // Asked of the catalog, for anybody may read that: to_regprocedure() fails without usage on the schema.
  const [found] = await connection.query(`
    select has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute') as callable
    from pg_namespace n join pg_proc p on p.pronamespace = n.oid
    where n.nspname = 'leasehold_internal' and p.proname = 'schema_info'`);
  if (found === undefined) return null;
  if (found.callable !== true) {
    const statement = `select leasehold.grant_usage(${quoteLiteral(server.role)});`;
    throw new NotPermittedError({ statement, role: server.role });
  }
  const [row] = await connection.query("select version, min_client as minclient from leasehold_internal.schema_info()");
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

/** Those that lack a right which `grant_usage` gives. Read first, so that a boot that changes nothing writes nothing. */
export async function rolesWithoutUsage(
  connection: MigrationConnection,
  roles: readonly string[],
): Promise<readonly string[]> {
  const lacking: string[] = [];
  for (const role of new Set(roles)) {
    const rows = await connection.query(
      `select from pg_roles r
       where r.rolname = $1
         and has_schema_privilege(r.oid, 'leasehold', 'usage')
         and has_schema_privilege(r.oid, 'leasehold_internal', 'usage')
         and not exists (
           select from pg_proc p
           where p.pronamespace = 'leasehold_internal'::regnamespace and left(p.proname, 1) <> '_' and p.proname <> 'force_release'
             and not has_function_privilege(r.oid, p.oid, 'execute'))`,
      [role],
    );
    if (rows.length === 0) lacking.push(role);
  }
  return lacking;
}
