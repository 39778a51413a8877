import type postgres from "postgres";
import { openClient } from "./client.js";
import { quote } from "./quote.js";

/** Creates a database by a short-lived connection to another one. */
export async function createFrom(server: string, name: string, template: string): Promise<void> {
  const sql = await openClient(server);
  try {
    await explain(sql, "createdb", () => sql.unsafe(`create database ${quote(name)} template ${quote(template)}`));
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Says what is missing when the role may not do this. */
export async function explain(
  sql: postgres.Sql,
  right: "createdb" | "createrole",
  run: () => Promise<unknown>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    if ((error as { code?: string }).code !== "42501") throw error;
    const [row] = await sql`select current_user as role`;
    const remedy = `alter role ${quote(String(row?.role))} ${right};`;
    throw new Error(`the tests make databases and roles of their own: ${remedy}`, { cause: error });
  }
}
