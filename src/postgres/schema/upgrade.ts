import { applyMigrations } from "./apply-migrations.js";
import { claimSchemas, type MigrationConnection } from "./migrate-state.js";
import { madeWithoutRows, missingRows } from "./restore-rows.js";

/**
 * Makes the schema, or brings it up to date. Imported on demand by `migrate()`, for it brings the text of all migrations (250 KB), which a
 * process that only takes locks never needs.
 */
export async function upgrade(connection: MigrationConnection, hasSchema: boolean): Promise<void> {
  await claimSchemas(connection);
  const made = hasSchema ? null : await madeWithoutRows(connection);
  for (const statement of made === null ? [] : missingRows(made)) await connection.query(statement);
  await applyMigrations(connection);
}
