// Who hears the wake-ups that a session is sent.
import postgres from "postgres";
import type { TestDatabase } from "./database.js";
import { until } from "./until.js";

export interface Ears extends AsyncDisposable {
  /** How many wake-ups have come since the last call: all that were sent before it. */
  count(): Promise<number>;
}

export async function openEars(database: Pick<TestDatabase, "url">, session: number): Promise<Ears> {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const channel = `leasehold_${session}`;
  let heard = 0;
  let mark = "";
  await sql.listen(channel, (payload) => {
    if (payload === "") heard += 1;
    else mark = payload;
  });
  return {
    async count() {
      const wanted = crypto.randomUUID();
      await sql`select pg_notify(${channel}, ${wanted})`;
      await until("all that was sent before is heard", () => mark === wanted);
      const count = heard;
      heard = 0;
      return count;
    },
    [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
  };
}
