import type { MigrateOptions } from "../../api/migrate-options.js";
import { UnsupportedError } from "../../errors/errors.js";
import { checkMs, checkText } from "../../errors/option-checks.js";
import { elapsedMs, now, sleep } from "../../runtime/clock.js";
import { withTimeout } from "../../runtime/timeout.js";
import { SCHEMA_VERSION } from "../connection/schema-version.js";
import { maintenanceClass } from "./advisory-locks.js";
import { isRetryable, toMigrateError } from "./migrate-errors.js";
import {
  hasStrayRights,
  isUsable,
  lookAtSchema,
  lookAtServer,
  type MigrationConnection,
  refuseOwners,
  refuseServer,
  rolesWithoutUsage,
  type Server,
  TIDY_RIGHTS,
} from "./migrate-state.js";

import { type Progress, watchMigration } from "./migrate-wait.js";

export type { MigrationConnection } from "./migrate-state.js";

// Nothing waits longer than this for a table at one go: every acquire would queue behind it.
const TABLE_LOCK_MS = 1_000;
const RETRY_MS = 200;
// What comes on top for the answers; past it the connection counts as silent.
const ANSWER_MS = 5_000;

/**
 * Brings the schema to the version of this package, on a connection of its own, which it ends. One transaction, so that a
 * process killed in the middle leaves nothing behind; under an advisory lock of that transaction, so that many may start at
 * once (without it, 7 of 8 that started at once on an empty database failed). A session's lock would not do: through a
 * transaction pooler it stays on a connection that others use.
 *
 * Writes nothing where all is done already, and leaves alone a newer schema that can live with this client.
 *
 * @throws {NotPermittedError} with the line that grants the right that is missing
 * @throws {UnsupportedError} when the schema is newer and refuses this client
 * @throws {UnsafeBackendError} on a standby or a read-only server; where a schema, or something in it, belongs to a role that
 *   could run its code as this one
 * @throws {UnavailableError} when the connection or the patience ran out; it is safe to run it again
 */
export async function migrateDatabase(
  connect: () => MigrationConnection | Promise<MigrationConnection>,
  options: MigrateOptions = {},
  { begin = "begin isolation level read committed", onWait = () => undefined }: How = {},
): Promise<void> {
  const roles = checkGrantTo(options.grantTo);
  const limitMs = checkMs("lockTimeoutMs", options.lockTimeoutMs ?? 60_000, 1);
  const progress: Progress = { isCommitting: false, pid: null, inTheWay: null };
  let connection: MigrationConnection | undefined;
  let endWatch: (() => Promise<void>) | undefined;
  try {
    const link = await connect();
    connection = link;
    endWatch = watchMigration({ connect, progress, limitMs, onWait });
    const work = attemptUntil(connection, { roles, limitMs, begin, progress });
    await withTimeout(work, limitMs + ANSWER_MS, () => link.destroy());
  } catch (error) {
    throw toMigrateError(error, { limitMs, ...progress });
  } finally {
    await endWatch?.();
    await connection?.end();
  }
}

export interface How {
  /** With `read write` whatever the role's or the database's default is; a standby, which cannot, answers that with a plain error. */
  readonly begin?: `begin isolation level read committed${"" | ", read write"}`;
  /** Called while it waits, with who is in the way: in words, and each once. */
  readonly onWait?: (inTheWay: string) => void;
}

interface Task {
  readonly roles: readonly string[];
  readonly limitMs: number;
  readonly begin: NonNullable<How["begin"]>;
  readonly progress: Progress;
}

async function attemptUntil(connection: MigrationConnection, task: Task): Promise<void> {
  const { limitMs } = task;
  const start = now();
  for (;;) {
    try {
      return await attempt(connection, task, Math.max(1, Math.ceil(limitMs - elapsedMs(start))));
    } catch (error) {
      if (!isRetryable(error) || elapsedMs(start) + RETRY_MS >= limitMs) throw error;
    }
    await sleep(RETRY_MS * (0.5 + Math.random()), { keepsAlive: true });
  }
}

async function attempt(
  connection: MigrationConnection,
  { roles, begin, progress }: Task,
  lockTimeoutMs: number,
): Promise<void> {
  await connection.query(`${begin}; ${settings(lockTimeoutMs)}`);
  try {
    await migrate(connection, roles, progress);
    progress.isCommitting = true;
    await connection.query("commit");
  } catch (error) {
    await connection.query("rollback").catch(() => undefined); // a connection that is gone has rolled back by itself
    throw error;
  }
}

async function migrate(connection: MigrationConnection, roles: readonly string[], progress: Progress): Promise<void> {
  const server = await lookAtServer(connection);
  progress.pid = server.pid;
  refuseServer(server);
  if ((await refuseOwners(connection, "migrator")) && (await isAllDone(connection, server, roles))) return;

  await connection.query(`select pg_catalog.pg_advisory_xact_lock(${maintenanceClass}, 0)`);
  await connection.query(`set local lock_timeout = ${TABLE_LOCK_MS}`);
  // Looked at again: somebody else may have done it while this one waited.
  const schema = (await refuseOwners(connection, "migrator")) ? await lookAtSchema(connection, server) : null;
  if (!isUsable(schema)) await apply(connection, server, schema !== null);
  // First, for a role that `roles` names may have its rights from elsewhere.
  if (mayTidy(server) && (await hasStrayRights(connection))) await connection.query(TIDY_RIGHTS);
  for (const role of await rolesWithoutUsage(connection, roles)) {
    try {
      await connection.query("select leasehold.grant_usage($1::pg_catalog.text)", [role]);
    } catch (error) {
      throw toMigrateError(error, { server, grantTo: role });
    }
  }
}

async function isAllDone(connection: MigrationConnection, server: Server, roles: readonly string[]): Promise<boolean> {
  if (!isUsable(await lookAtSchema(connection, server))) return false;
  if ((await rolesWithoutUsage(connection, roles)).length > 0) return false;
  return !mayTidy(server) || !(await hasStrayRights(connection));
}

/** The owner's to do. Of a schema that is being made just now this role is the owner. */
function mayTidy({ owner, isOwner }: Server): boolean {
  return owner === null || isOwner;
}

async function apply(connection: MigrationConnection, server: Server, hasSchema: boolean): Promise<void> {
  const { upgrade } = await import("./upgrade.js");
  try {
    await upgrade(connection, hasSchema);
  } catch (error) {
    throw toMigrateError(error, { server });
  }
  const schema = await lookAtSchema(connection, server);
  if (!isUsable(schema)) {
    throw new UnsupportedError({
      message: `leasehold.migrations says that every migration was applied, but the schema has version ${schema?.version ?? "none"} instead of ${SCHEMA_VERSION}: it is of a version that has no upgrade (0.1.0), or a part of it was dropped or restored by hand. Restore it, or drop the schemas leasehold and leasehold_internal and run migrate() again.`,
    });
  }
}

/**
 * What a role or a database has as its defaults must neither cut a migration short nor lead it elsewhere: under this path
 * views, conditions of triggers and bodies of functions are bound to what is Postgres's own, for good. In one message with the
 * `begin`: an idle transaction may be cut within a millisecond.
 */
function settings(lockTimeoutMs: number): string {
  return `
    set local search_path = pg_catalog, pg_temp;
    set local lock_timeout = ${lockTimeoutMs};
    set local client_min_messages = warning;
    select pg_catalog.set_config(s.name, '0', true) from pg_catalog.pg_settings s
      where s.name operator(pg_catalog.=) any ('{statement_timeout,idle_in_transaction_session_timeout,transaction_timeout}'::pg_catalog.text[]);
    do $$
    begin
      -- Else the server notices a killed process only when its statement ends, and keeps the lock until then.
      perform set_config(name, '1s', true) from pg_settings where name = 'client_connection_check_interval';
    exception when invalid_parameter_value then
      null; -- not on this platform
    end $$`;
}

function checkGrantTo(value: unknown): readonly string[] {
  const roles: readonly unknown[] = value === undefined ? [] : Array.isArray(value) ? value : [value];
  return roles.map((role) => checkText("grantTo", role, 1, 63));
}
