import postgres from "postgres";
import { expect, test } from "vitest";
import { createEmptyDatabase } from "./database.js";
import { startPgBouncer } from "./pgbouncer.js";

test("PgBouncer gives the backends of a pool to whoever begins a transaction", async ({ skip }) => {
  const database = await createEmptyDatabase();
  await using pgbouncer = await startPgBouncer(database.url, { poolSize: 1 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  const clients = [1, 2].map(() =>
    postgres(pgbouncer.url(database.url), { max: 1, prepare: false, fetch_types: false }),
  );
  const pids = [];
  for (const sql of clients) pids.push((await sql`select pg_backend_pid() as pid`)[0]?.pid);
  expect(pids[0]).toBe(pids[1]);
  await Promise.all(clients.map((sql) => sql.end()));
});
