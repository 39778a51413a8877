import type { SQL } from "drizzle-orm";
import { PgDialect, type PgSession } from "drizzle-orm/pg-core";
import { guardBlock } from "../connection/owners.js";
import type { MigrationConnection } from "./migrate-state.js";
import { migrations } from "./migrations.generated.js";

/**
 * Runs what is missing through drizzle's own migrator, so that its bookkeeping and drizzle-kit's agree with ours. The
 * migrations are embedded: a bundle has no folder to read. Only its dialect is used; `drizzle(client)` would change the
 * parsers of the client, and its session would open a transaction of its own.
 */
export async function applyMigrations(connection: MigrationConnection): Promise<void> {
  const dialect = new PgDialect();
  const run = (query: SQL) => {
    const { sql, params } = dialect.sqlToQuery(query);
    return connection.query(sql, params.map(String));
  };
  const session = {
    execute: run,
    all: run,
    transaction: async (body: (tx: { readonly execute: typeof run }) => Promise<void>) => {
      // The schemas and the table for the bookkeeping are there by now, made by this one or by somebody who was faster.
      await connection.query(guardBlock());
      await body({ execute: run });
    },
  };
  await dialect.migrate(
    migrations.map(({ when, hash, statements }) => ({ sql: [...statements], bps: true, folderMillis: when, hash })),
    // These three are what PgDialect.migrate calls (drizzle-orm/pg-core/dialect.js).
    session as unknown as PgSession,
    { migrationsFolder: "", migrationsSchema: "leasehold", migrationsTable: "migrations" },
  );
}
