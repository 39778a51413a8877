import postgres from "postgres";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";

/** Migrates a database as its owner, below the locker: what is under test elsewhere is only used here. */
export async function migrate(url: string): Promise<void> {
  await migrateDatabase(() => {
    const sql = postgres(url, { max: 1, max_lifetime: null, fetch_types: false, onnotice: () => {} });
    return {
      query: (text, parameters = []) => sql.unsafe(text, [...parameters]),
      end: () => sql.end({ timeout: 5 }),
      destroy: () => void sql.end({ timeout: 0 }),
    };
  });
}
