import { openClient } from "./client.js";
import { quote } from "./quote.js";

/** Drops the databases and roles of a run, also those of test files that ended badly. */
export async function dropAll(server: string, prefix: string): Promise<void> {
  const sql = await openClient(server);
  try {
    for (const { name } of await sql`select datname as name from pg_database where starts_with(datname, ${prefix})`) {
      await sql.unsafe(`drop database if exists ${quote(name)} with (force)`);
    }
    for (const { name } of await sql`select rolname as name from pg_roles where starts_with(rolname, ${prefix})`) {
      await sql.unsafe(`drop role if exists ${quote(name)}`);
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}
