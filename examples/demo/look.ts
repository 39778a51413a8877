// Who holds, who waits, who took over: all of it stands in tables that anybody may read.
import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "./bank.js";
import type { Screen } from "./screen.js";

export interface Held {
  readonly key: string;
  readonly owner: string;
  readonly fence: bigint;
  readonly expiresAt: Date;
  /** When its process was last heard of. */
  readonly seenAt: Date | null;
  /** Who waits for it, first to last. */
  readonly waiting: readonly string[];
}

export async function look(sql: Sql): Promise<readonly Held[]> {
  return await sql<Held[]>`
    select key, l.owner, fence, expires_at as "expiresAt", seen_at as "seenAt",
           array(select w.owner from leasehold.waiters w
                  where w.key = l.key and w.alive_until > clock_timestamp() order by w.ticket) as waiting
      from leasehold.leases l
      left join leasehold.sessions s on s.id = l.session_id
     where token is not null
     order by key`;
}

export function describe(held: readonly Held[]): string {
  const line = held.map(({ key, owner, waiting }) => {
    const next = waiting.length === 0 ? "" : ` (next: ${waiting.join(", ")})`;
    return `${key.replace("account:", "")} by ${owner}${next}`;
  });
  return line.length === 0 ? "nothing" : line.join(" · ");
}

/** Shows how things stand until it is stopped. */
export function keepLooking(sql: Sql, screen: Screen): { stop(): Promise<void> } {
  let isStopping = false;
  const looking = (async () => {
    while (!isStopping) {
      try {
        const held = await look(sql);
        const [row] = await sql<{ n: number }[]>`select count(*)::int as n from transfers`;
        screen.progress(`${row?.n} transfers   held: ${describe(held)}`);
      } catch {
        screen.progress("Postgres does not answer");
      }
      await delay(100);
    }
    screen.endProgress();
  })();
  return {
    stop: () => {
      isStopping = true;
      return looking;
    },
  };
}

export interface Takeover {
  readonly key: string;
  readonly from: string;
  readonly how: "killed" | "frozen";
  readonly by: string;
  readonly fence: bigint;
  readonly nextFence: bigint;
  /** From the fault to the next grant. */
  readonly afterMs: number;
  /** From the holder's last heartbeat to the next grant. */
  readonly afterHeartbeatMs: number;
  /** From the expiry that the holder was last given to the next grant: negative when it was not waited for. */
  readonly afterExpiryMs: number;
}

/** Waits until somebody else works under each of these locks. */
export async function takeovers(
  sql: Sql,
  lost: readonly Held[],
  how: Takeover["how"],
  since: Date,
  onTakeover: (takeover: Takeover) => void,
): Promise<readonly Takeover[]> {
  const patience = AbortSignal.timeout(20_000);
  const found: Takeover[] = [];
  while (found.length < lost.length) {
    for (const { key, owner, fence, expiresAt, seenAt } of lost.filter(
      (one) => !found.some(({ key }) => key === one.key),
    )) {
      const [next] = await sql<{ worker: string; fence: bigint; at: Date }[]>`
        select worker, fence, granted_at as at from grants where key = ${key} and fence > ${fence} order by fence limit 1`;
      if (next === undefined) continue;
      const takeover: Takeover = {
        ...{ key, from: owner, how, by: next.worker, fence, nextFence: next.fence },
        afterMs: next.at.getTime() - since.getTime(),
        afterHeartbeatMs: next.at.getTime() - (seenAt ?? since).getTime(),
        afterExpiryMs: next.at.getTime() - expiresAt.getTime(),
      };
      found.push(takeover);
      onTakeover(takeover);
    }
    if (patience.aborted) throw new Error(`the locks of ${lost[0]?.owner} (${how}) were not taken over within 20 s`);
    await delay(30);
  }
  return found;
}
