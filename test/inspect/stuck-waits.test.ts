// Which waits are stuck, and the cycles among them, in random crowds of readers, writers and semaphores.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { seeded } from "../support/random.js";
import { expectCycles, shortestCycles } from "./cycles.js";
import { allEdges, type Claim, findStuck } from "./stuck-waits.js";

const database = await createDatabase();
const { sql } = database;
const literal = (numbers: readonly (number | null)[]) => `{${numbers.map((n) => n ?? "null").join(",")}}`;
const columns = (claims: readonly Claim[]) =>
  [
    literal(claims.map(({ session }) => session)),
    literal(claims.map(({ key }) => Number(key))),
    literal(claims.map(({ weight }) => weight)),
    literal(claims.map(({ capacity }) => capacity)),
  ] as const;

/** As the view deadlocks asks for them. */
async function ask(waits: readonly Claim[], holds: readonly Claim[]): Promise<{ stuck: Claim[]; cycles: number[][] }> {
  const [sessions, keys, weights, capacities] = columns(waits);
  const [owners, held, taken, bounds] = columns(holds);
  const rows = await sql`
    select place from leasehold_internal._stuck_waits(
      ${sessions}::text::integer[], ${keys}::text::integer[], ${weights}::text::integer[], ${capacities}::text::integer[],
      ${owners}::text::integer[], ${held}::text::integer[], ${taken}::text::integer[], ${bounds}::text::integer[]) order by place`;
  const stuck = rows.map(({ place }) => waits[place - 1] as Claim);
  const [waiting, wanted] = columns(stuck);
  const named = holds.filter(({ session }) => session !== null);
  const [holding, kept] = columns(named);
  const found = await sql`
    select distinct to_jsonb(sessions) as cycle from leasehold_internal._cycles(
      ${waiting}::text::integer[], ${wanted}::text::integer[], ${holding}::text::integer[], ${kept}::text::integer[])`;
  return { stuck, cycles: found.map(({ cycle }) => cycle) };
}

test("in random crowds who is stuck is told, and each of a cycle in a shortest one; not who could still go on", async () => {
  const random = seeded("random crowds");
  const under = (bound: number) => Math.floor(random() * bound);
  const share = () => {
    const kind = under(4);
    if (kind === 0) return { weight: 1, capacity: null };
    const capacity = 1 + under(4);
    return { weight: 1 + under(capacity), capacity };
  };
  const counts = { stuck: 0, cycles: 0, free: 0, exclusive: 0 };
  for (let round = 0; round < 2_000; round += 1) {
    const crowd = 2 + under(7);
    const keys = 1 + under(6);
    const isShared = round % 4 > 0;
    const holds: Claim[] = [];
    for (let key = 1; key <= keys; key += 1) {
      if (!isShared || random() < 0.3) {
        holds.push({ session: 1 + under(crowd), key: `${key}`, weight: null, capacity: null });
      } else {
        for (let n = under(4); n > 0; n -= 1) holds.push({ session: 1 + under(crowd), key: `${key}`, ...share() });
      }
    }
    const waits: Claim[] = [];
    for (let n = 1 + under(crowd * 2); n > 0; n -= 1) {
      const terms = isShared && random() < 0.7 ? share() : { weight: null, capacity: null };
      waits.push({ session: random() < 0.1 ? null : 1 + under(crowd), key: `${1 + under(keys)}`, ...terms });
    }
    waits.sort((a, b) => Number(a.key) - Number(b.key));
    const expected = findStuck(waits, holds);
    const { stuck, cycles } = await ask(waits, holds);
    const what = JSON.stringify({ waits, holds });
    // where each holder is enough to block, the database stops after a few rounds: it may leave who waits for the stuck
    if (waits.some(({ weight }) => weight !== null)) expect(stuck, what).toEqual(expected.waits);
    else expect(stuck, what).toEqual(expect.arrayContaining([...expected.waits]));
    expectCycles(cycles, expected.edges);
    if (expected.waits.length > 0) counts.stuck += 1;
    if (cycles.length > 0) counts.cycles += 1;
    if (cycles.length > 0 && !isShared) counts.exclusive += 1;
    if (cycles.length === 0 && shortestCycles(allEdges(waits, holds)).size > 0) counts.free += 1;
  }
  for (const [kind, count] of Object.entries(counts)) expect(count, kind).toBeGreaterThan(10);
});
