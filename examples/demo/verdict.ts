// The invariants, each asked of what really happened: of the tables, and of the two workers that were made to fail.
import { openingBalance, type Sql } from "./bank.js";
import type { Takeover } from "./look.js";
import type { Resumed } from "./worker.js";

export interface Verdict {
  readonly invariant: string;
  readonly holds: boolean;
  /** What was seen. */
  readonly seen: string;
}

export interface Story {
  readonly takeovers: readonly Takeover[];
  readonly takeoverDelayMs: number;
  readonly late: Resumed;
  readonly throughRestart: Resumed;
  readonly wronglyRefused: number;
}

export async function judge(sql: Sql, story: Story): Promise<readonly Verdict[]> {
  const { takeovers, takeoverDelayMs, late, throughRestart, wronglyRefused } = story;
  const killed = takeovers.filter(({ how }) => how === "killed");
  const frozen = takeovers.filter(({ how }) => how === "frozen");
  return [
    await money(sql),
    await fences(sql),
    await overlaps(sql),
    {
      invariant: "the frozen worker's late write was refused by Postgres",
      holds: late.refusal?.code === "LH001" && !late.held,
      seen: late.refusal ? `${late.refusal.code}; held: ${late.held}` : `it was ${late.outcome}`,
    },
    {
      invariant: "no write was refused to a worker that held its locks",
      holds: wronglyRefused === 0,
      seen: `${wronglyRefused} refused`,
    },
    {
      invariant: "the killed worker's locks were free before their TTL, and not before the takeover delay",
      holds:
        killed.length === 2 && killed.every((one) => one.afterExpiryMs < 0 && one.afterHeartbeatMs >= takeoverDelayMs),
      seen: killed.map((one) => `${seconds(one.afterHeartbeatMs)} after its last heartbeat`).join(", "),
    },
    {
      invariant: "the frozen worker's locks were not free before their TTL",
      holds: frozen.length === 2 && frozen.every((one) => one.afterExpiryMs >= 0),
      seen: frozen.map((one) => `${seconds(one.afterExpiryMs)} after their expiry`).join(", "),
    },
    {
      invariant: "the locks held while Postgres restarted were kept",
      holds: throughRestart.outcome === "written" && throughRestart.held,
      seen: `the write under them was ${throughRestart.outcome}`,
    },
    await leftovers(sql),
  ];
}

/** Not the total alone: each account must have what its transfers say. */
async function money(sql: Sql): Promise<Verdict> {
  const [row] = await sql<{ total: bigint; expected: bigint; wrong: number }[]>`
    with computed as (
      select key, balance, ${openingBalance}::bigint
             + coalesce((select sum(amount) from transfers where target = key), 0)
             - coalesce((select sum(amount) from transfers where source = key), 0) as should
        from accounts)
    select sum(balance)::bigint as total, (${openingBalance}::bigint * count(*))::bigint as expected,
           (count(*) filter (where balance <> should))::int as wrong
      from computed`;
  return {
    invariant: "the total of the money is unchanged, and every account adds up",
    holds: row !== undefined && row.total === row.expected && row.wrong === 0,
    seen: `${row?.total} of ${row?.expected}, ${row?.wrong} accounts with a wrong balance`,
  };
}

async function fences(sql: Sql): Promise<Verdict> {
  const [row] = await sql<{ all: number; wrong: number }[]>`
    with logged as (select fence, lag(fence) over (partition by key order by number) as before from grants)
    select count(*)::int as all, (count(*) filter (where fence <= before))::int as wrong from logged`;
  return {
    invariant: "fences strictly increase, for each account",
    holds: row !== undefined && row.all > 0 && row.wrong === 0,
    seen: `${row?.wrong} inversions in ${row?.all} grants`,
  };
}

/** A grant that was made before the work under any earlier one had ended. Of work that failed only the beginning is known. */
async function overlaps(sql: Sql): Promise<Verdict> {
  const [row] = await sql<{ wrong: number }[]>`
    with logged as (
      select granted_at, max(coalesce(ended_at, began_at)) over (
               partition by key order by number rows between unbounded preceding and 1 preceding) as busy_until
        from grants)
    select count(*)::int as wrong from logged where granted_at < busy_until`;
  return {
    invariant: "no two workers held an account at the same time",
    holds: row?.wrong === 0,
    seen: `${row?.wrong} overlaps`,
  };
}

async function leftovers(sql: Sql): Promise<Verdict> {
  const [row] = await sql<{ held: number; waiting: number }[]>`
    select (select count(*) from leasehold.leases where token is not null)::int as held,
           (select count(*) from leasehold.waiters)::int as waiting`;
  return {
    invariant: "in the end nothing is held and nobody waits",
    holds: row?.held === 0 && row.waiting === 0,
    seen: `${row?.held} held, ${row?.waiting} waiting`,
  };
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
