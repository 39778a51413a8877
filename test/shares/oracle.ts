// Tells from a record of who was in a shared key's section, and when, whether a bound was broken. It shares no code with the library: each
// process writes when it comes in and when it goes, under a lock that gives these events one order for each key.
import type postgres from "postgres";

export interface Holding {
  readonly key: string;
  /** The fence of the grant, which names it. */
  readonly fence: string;
  /** Null: it has the key for itself. */
  readonly weight: number | null;
  /** Null: none. */
  readonly capacity: number | null;
}

export async function createRecord(sql: postgres.Sql): Promise<void> {
  await sql`create unlogged table record (
    number bigint generated always as identity primary key, key text not null, fence bigint not null, enters boolean not null,
    weight integer, capacity integer)`;
}

export async function record(
  sql: postgres.Sql,
  what: "enters" | "leaves",
  { key, fence, weight, capacity }: Holding,
): Promise<void> {
  // the number is drawn once the lock is held
  await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtext(${`record ${key}`}))`;
    await tx`insert into record (key, fence, enters, weight, capacity)
      values (${key}, ${fence}::bigint, ${what === "enters"}, ${weight}, ${capacity})`;
  });
}

export interface Findings {
  readonly entries: number;
  /** The most that were inside of one key at once. */
  readonly most: number;
  readonly problems: readonly string[];
  /** Who had not left at the end. */
  readonly inside: number;
}

export async function judge(sql: postgres.Sql): Promise<Findings> {
  const events = await sql<(Holding & { enters: boolean })[]>`
    select key, fence::text as fence, enters, weight, capacity from record order by number`;
  return judgeEvents(events);
}

export function judgeEvents(events: readonly (Holding & { readonly enters: boolean })[]): Findings {
  const inside = new Map<string, Map<string, Holding>>();
  const exclusiveFences = new Map<string, bigint>();
  const problems: string[] = [];
  let entries = 0;
  let most = 0;
  for (const event of events) {
    const holders = inside.get(event.key) ?? new Map<string, Holding>();
    inside.set(event.key, holders);
    if (!event.enters) {
      holders.delete(event.fence);
      continue;
    }
    entries += 1;
    if (holders.has(event.fence)) problems.push(`${event.key}: fence ${event.fence} was given twice`);
    holders.set(event.fence, event);
    most = Math.max(most, holders.size);
    const all = [...holders.values()];
    if (all.length > 1 && all.some(({ weight }) => weight === null)) {
      problems.push(`${event.key}: ${all.map(show).join(", ")} at once`);
    }
    const taken = all.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
    const bound = Math.min(...all.map(({ capacity }) => capacity ?? Number.POSITIVE_INFINITY));
    if (taken > bound) problems.push(`${event.key}: ${taken} of ${bound}: ${all.map(show).join(", ")}`);
    // whoever has the key alone came after all before
    const fence = BigInt(event.fence);
    const last = exclusiveFences.get(event.key) ?? 0n;
    if (fence <= last) problems.push(`${event.key}: fence ${fence} after ${last}`);
    if (event.weight === null) exclusiveFences.set(event.key, fence);
  }
  const left = [...inside.values()].reduce((sum, holders) => sum + holders.size, 0);
  return { entries, most, problems, inside: left };
}

function show({ fence, weight, capacity }: Holding): string {
  return weight === null ? `${fence} alone` : `${fence} with ${weight} of ${capacity ?? "any"}`;
}
