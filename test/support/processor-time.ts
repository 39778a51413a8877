// What a statement costs the server in processor time: unlike the time that passes, it hardly depends on how busy the machine is.
import type postgres from "postgres";
import { openClient } from "./client.js";

export interface MeteredClient extends AsyncDisposable {
  readonly sql: postgres.Sql;
  /** Milliseconds of the server's processor time. */
  timeOf(text: string): Promise<number>;
}

/** A connection as a superuser, for statements that are measured. */
export async function openMetered(url: string): Promise<MeteredClient> {
  const details: string[] = [];
  const sql = await openClient(url, { onnotice: ({ detail }) => void details.push(detail ?? "") });
  await sql.unsafe("set client_min_messages = log");
  return {
    sql,
    async timeOf(text) {
      await sql.unsafe("set log_statement_stats = on");
      details.length = 0;
      await sql.unsafe(text);
      const found = details.map((detail) => /([\d.]+) s user, ([\d.]+) s system, [\d.]+ s elapsed/.exec(detail));
      const [, user, system] = found.find((one) => one !== null) ?? [];
      await sql.unsafe("set log_statement_stats = off");
      return (Number(user) + Number(system)) * 1_000;
    },
    [Symbol.asyncDispose]: () => sql.end(),
  };
}
