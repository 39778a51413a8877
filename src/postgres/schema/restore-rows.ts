import { CREATE_MIGRATIONS_TABLE } from "./apply-migrations.js";
import type { MigrationConnection } from "./migrate-state.js";
import { migrations } from "./migrations.generated.js";

/**
 * How many migrations made a schema whose rows are missing, `leasehold.migrations` among them: it was restored without its data
 * (`pg_dump --schema-only`, `structure.sql`). Null: there is no such schema. To be asked of one that `schema_info()` says nothing of.
 */
export async function madeWithoutRows(connection: MigrationConnection): Promise<number | null> {
  const [found] = await connection.query(`
    select from pg_catalog.pg_namespace n join pg_catalog.pg_proc p on p.pronamespace operator(pg_catalog.=) n.oid
     where n.nspname operator(pg_catalog.=) 'leasehold_internal' and p.proname operator(pg_catalog.=) '_migration_count'`);
  if (found === undefined) return null;
  const [row] = await connection.query("select leasehold_internal._migration_count() as made");
  return Number(row?.made);
}

/** What puts them back, and lets `applyMigrations` go on from there. */
export function missingRows(made: number): readonly string[] {
  const applied = migrations.slice(0, made).map(({ hash, when }) => `('${hash}', ${when}::bigint)`);
  return [
    "select leasehold_internal._insert_missing_rows()",
    CREATE_MIGRATIONS_TABLE, // a dump may have left it out
    `insert into leasehold.migrations (hash, created_at) select a.hash, a.created_at from (values ${applied.join(", ")}) a (hash, created_at)
      where not exists (select from leasehold.migrations m where m.created_at operator(pg_catalog.=) a.created_at) order by a.created_at`,
  ];
}
