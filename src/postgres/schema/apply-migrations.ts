import { guardBlock } from "../connection/owners.js";
import type { MigrationConnection } from "./migrate-state.js";
import { migrations } from "./migrations.generated.js";

/** As drizzle's migrator makes it, so that drizzle-kit finds our work done in `migrations/`, and we find its work done. */
export const CREATE_MIGRATIONS_TABLE =
  "create table if not exists leasehold.migrations (id serial primary key, hash pg_catalog.text not null, created_at pg_catalog.int8)";

/** The newest one that was applied. Like drizzle, we decide by its time and not by its hash. */
export const LAST_MIGRATION = "select id, hash, created_at from leasehold.migrations order by created_at desc limit 1";

/**
 * Runs the migrations that are missing, in the caller's transaction, once the schemas exist. They are embedded, because a bundle has no
 * folder to read.
 */
export async function applyMigrations(connection: MigrationConnection): Promise<void> {
  await connection.query(CREATE_MIGRATIONS_TABLE);
  const [last] = await connection.query(LAST_MIGRATION);
  // The schemas and this table exist by now. We made them, or somebody else was faster: then they may be that one's.
  await connection.query(guardBlock());
  for (const { when, hash, statements } of migrations) {
    if (last !== undefined && Number(last.created_at) >= when) continue;
    for (const statement of statements) await connection.query(statement);
    await connection.query(
      "insert into leasehold.migrations (hash, created_at) values ($1::pg_catalog.text, $2::pg_catalog.int8)",
      [hash, String(when)],
    );
  }
}
