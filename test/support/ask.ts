// Acquire as the client sends it, below the client: for what no client would do, and for moments that it leaves no time for.
import type postgres from "postgres";
import { acquireRows, type NamedSession, releaseRows } from "./acts.js";

export interface AskOptions {
  /** Asks under a session, as presence does. */
  readonly session?: NamedSession;
  /** After this, on the server's clock, it is too late. Default: in an hour. */
  readonly notAfterMs?: number;
}

export interface Asked {
  readonly key: string;
  readonly token: string;
  readonly outcome: string;
  readonly fence: bigint | null;
  /** Who was robbed, by a grant; or who holds. */
  readonly holder: string | null;
  readonly holderFence: bigint | null;
  readonly takeover: string | null;
  /** In milliseconds since 1970. */
  readonly since: number | null;
}

/** One statement for all of the keys; the answers in their order. */
export async function ask(
  sql: postgres.Sql | postgres.TransactionSql,
  keys: readonly string[],
  options: AskOptions = {},
): Promise<Asked[]> {
  const { session = null, notAfterMs = Date.now() + 3_600_000 } = options;
  const items = keys.map((key) => ({ key, token: crypto.randomUUID(), notAfterMs }));
  const answers: readonly postgres.Row[] = await sql.unsafe(`
    select outcome, fence::text, holder, holderfence::text, takeover, since
      from ${acquireRows(items, { session })}
     order by item`);
  return items.map(({ key, token }, index) => {
    const {
      outcome = "unanswered",
      fence = null,
      holder,
      holderfence = null,
      takeover,
      since,
    } = answers[index] ?? ({} as postgres.Row);
    return {
      key,
      token,
      outcome,
      fence: fence === null ? null : BigInt(fence),
      holder,
      holderFence: holderfence === null ? null : BigInt(holderfence),
      takeover,
      since,
    };
  });
}

/** Releases what was granted; what is busy again and again, as the client does. */
export async function giveBack(sql: postgres.Sql, asked: readonly Asked[]): Promise<void> {
  let left = asked.filter(({ outcome }) => outcome === "granted");
  while (left.length > 0) {
    const rows = await sql
      .unsafe(`select item, outcome from ${releaseRows(left)} a`)
      .catch((error: { code?: string }) => {
        if (error.code === "55P03") return null; // the table was locked for too long
        throw error;
      });
    if (rows !== null) {
      const busy = new Set(rows.filter(({ outcome }) => outcome === "busy").map(({ item }) => Number(item) - 1));
      left = left.filter((_, index) => busy.has(index));
    }
  }
}
