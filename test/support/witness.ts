// Sees from within the database, in transactions of its own, whether two are in a critical section at once.
import type postgres from "postgres";

export interface Verdict {
  readonly entries: number;
  /** How many came in while somebody was inside. */
  readonly clashes: number;
  /** How many came in with a fence that was not larger than all before. */
  readonly inversions: number;
  readonly inside: number;
}

export async function createWitness(sql: postgres.Sql): Promise<void> {
  await sql`create unlogged table witness (
    key text primary key, inside integer not null default 0, fence bigint not null default 0,
    entries integer not null default 0, clashes integer not null default 0, inversions integer not null default 0)`;
}

export async function enter(sql: postgres.Sql, key: string, fence: bigint): Promise<void> {
  await sql`insert into witness as w (key, inside, fence, entries) values (${key}, 1, ${String(fence)}::bigint, 1)
    on conflict (key) do update set inside = w.inside + 1, fence = greatest(w.fence, excluded.fence), entries = w.entries + 1,
      clashes = w.clashes + (w.inside > 0)::int, inversions = w.inversions + (excluded.fence <= w.fence)::int`;
}

export async function leave(sql: postgres.Sql, key: string): Promise<void> {
  await sql`update witness set inside = inside - 1 where key = ${key}`;
}

export async function verdict(sql: postgres.Sql): Promise<Verdict> {
  const [row] =
    await sql`select sum(entries)::int as entries, sum(clashes)::int as clashes, sum(inversions)::int as inversions,
    sum(inside)::int as inside from witness`;
  return row as unknown as Verdict;
}
