// What the queue of a key looks like from outside.
import type { TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";

export interface Entry {
  readonly ticket: string;
  readonly token: string;
  readonly aliveMs: number;
}

/** In the order of the queue, expired entries included. */
export async function queueOf({ sql }: TestDatabase, key: string): Promise<Entry[]> {
  return await sql<Entry[]>`
    select ticket::text, token::text, (extract(epoch from alive_until) * 1000)::float8 as "aliveMs"
      from leasehold.waiters w where key = ${key} order by w.ticket`;
}

/** Resolves once so many wait in the queue of the key. */
export function untilQueued(database: TestDatabase, key: string, count: number): Promise<Entry[]> {
  return until(`${count} wait for ${key}`, async () => {
    const queue = await queueOf(database, key);
    return queue.length >= count && queue;
  });
}

export async function isQueued({ sql }: TestDatabase, key: string): Promise<boolean | undefined> {
  return (await sql`select queued from leasehold.leases where key = ${key}`)[0]?.queued;
}
