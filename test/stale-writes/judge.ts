// What must be true of guarded writes, asked of the commits one after another.
import type postgres from "postgres";
import type { Change, Commit } from "./commit-order.js";

export const counters: readonly string[] = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `counter:${n}`);
export const accounts: readonly string[] = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `account:${n}`);
const openingBalance = 1_000;

/** The tables that are followed in the order of commits. */
export const tables: readonly string[] = ["leasehold.leases", "public.writes"];

export async function createTables(sql: postgres.Sql): Promise<void> {
  await sql`create table counters (key text primary key, value bigint not null)`;
  await sql`create table accounts (key text primary key, value bigint not null)`;
  await sql`insert into counters ${sql(counters.map((key) => ({ key, value: 0 })))}`;
  await sql`insert into accounts ${sql(accounts.map((key) => ({ key, value: openingBalance })))}`;
  // guarded twice: the counters are protected by the guards alone
  await sql`select leasehold.guard_table('accounts', 'key')`;
  // each write says here, in its own transaction, what it was made of
  await sql`create table writes (
    id bigint generated always as identity primary key,
    key text not null, fence bigint not null, was bigint not null, value bigint not null, worker text not null)`;
}

export class Judge {
  readonly violations: string[] = [];
  writes = 0;
  grants = 0;
  /** The last one of each key. */
  readonly #grants = new Map<string, { readonly fence: bigint; readonly token: string | null }>();
  readonly #values = new Map<string, number>([
    ...counters.map((key) => [key, 0] as const),
    ...accounts.map((key) => [key, openingBalance] as const),
  ]);

  hear(commits: readonly Commit[]): void {
    for (const change of commits.flat()) {
      if (change.table === "leasehold.leases") this.#hearLease(change.row);
      if (change.table === "public.writes") this.#hearWrite(change.row);
    }
  }

  /** Compares what the log adds up to with what stands in the tables. */
  async conclude(sql: postgres.Sql): Promise<void> {
    const rows = await sql<{ key: string; value: string }[]>`
      select key, value::text from counters union all select key, value::text from accounts`;
    for (const { key, value } of rows) {
      const wanted = this.#values.get(key);
      if (Number(value) !== wanted) this.#object(`${key} is ${value}, its committed writes add up to ${wanted}`);
    }
    const [money] = await sql<{ total: string }[]>`select sum(value)::text as total from accounts`;
    const total = openingBalance * accounts.length;
    if (Number(money?.total) !== total) this.#object(`there are ${money?.total} of ${total} in the accounts`);
    const [increments] = await sql<{ counted: boolean }[]>`
      select (select sum(value) from counters) = (select count(*) from writes where key like 'counter:%') as counted`;
    if (!increments?.counted) this.#object("the counters are not the number of committed increments");
  }

  #hearLease({ key, fence, token }: Change["row"]): void {
    if (!key || fence === null || fence === undefined || token === undefined) return; // a row that was deleted
    const last = this.#grants.get(key) ?? { fence: 0n, token: null };
    const next = { fence: BigInt(fence), token: token ?? last.token };
    if (next.fence === last.fence && next.token === last.token) return; // renewed, released, queued
    if (next.fence <= last.fence) this.#object(`${key} was granted with fence ${next.fence} after fence ${last.fence}`);
    this.#grants.set(key, next);
    this.grants += 1;
  }

  #hearWrite({ key, fence, was, value, worker }: Change["row"]): void {
    if (!key || fence === undefined) return;
    this.writes += 1;
    const current = this.#grants.get(key)?.fence;
    if (current !== BigInt(fence as string)) {
      this.#object(`${worker} wrote ${key} with fence ${fence}, after a grant with fence ${current} had committed`);
    }
    const stood = this.#values.get(key);
    if (stood !== Number(was)) {
      this.#object(`${worker} wrote ${key} from ${was}, but ${stood} stood there: a write is lost`);
    }
    this.#values.set(key, Number(value));
  }

  #object(what: string): void {
    if (this.violations.length < 20) this.violations.push(what);
  }
}
