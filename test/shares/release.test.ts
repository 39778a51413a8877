// Releases of several shares in one statement: each is named by its key, its token and its fence.
import { expect, test } from "vitest";
import { acquireRows, type Held } from "../support/acts.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;

async function grant(key: string, terms: { readonly minHoldMs?: number } = {}): Promise<Held> {
  const token = crypto.randomUUID();
  const [row] = await sql.unsafe(
    `select fence::text from ${acquireRows([{ key, token, weight: 1, capacity: 10, ...terms }])}`,
  );
  return { key, token, fence: BigInt(row?.fence) };
}

/** Item, outcome and reason of those of which there is more to say than that they are released. */
async function release(held: readonly Held[]): Promise<unknown[][]> {
  const list = (values: readonly unknown[]) => `{${values.join(",")}}`;
  const [row] = await sql`
    select others from leasehold_internal.release_shares(
      false, ${list(held.map(({ key }) => key))}::text[], ${list(held.map(({ token }) => token))}::uuid[],
      ${list(held.map(({ fence }) => fence))}::bigint[])`;
  const others: unknown[][] | null = JSON.parse(row?.others ?? "null");
  return (others ?? []).map((other) => other.slice(0, 3));
}

const left = async () =>
  (await sql`select fence::text from leasehold.shares order by fence`).map(({ fence }) => BigInt(fence));

test("those that are named are released, and no other of their keys", async () => {
  const held = [await grant("a"), await grant("b"), await grant("a"), await grant("b"), await grant("a")];
  const [first, second, third, fourth, fifth] = held.map(({ fence }) => fence);
  const others = await release([held[3], held[0]] as Held[]);
  const after = await left();
  await sql`delete from leasehold.shares`;

  expect(first).not.toBe(fourth);
  expect(others).toEqual([]);
  expect(after).toEqual([second, third, fifth]);
});

test.each<[string, (held: Held, other: Held) => Held]>([
  ["fence", (held, other) => ({ ...held, fence: other.fence })],
  ["token", (held, other) => ({ ...held, token: other.token })],
  ["key", (held) => ({ ...held, key: "elsewhere" })],
])("one that is named with another's %s is not released", async (_, misname) => {
  const [held, other] = [await grant("a"), await grant("a")];
  const others = await release([misname(held, other)]);
  const after = await left();
  await sql`delete from leasehold.shares`;

  expect(others).toEqual([[1, "gone", expect.anything()]]);
  expect(after).toEqual([held.fence, other.fence]);
});

test.each([
  ["expired", "expires_at = clock_timestamp()", "expired", "expired"],
  ["was taken by force", "revoked_at = clock_timestamp()", "released", null],
  ["was released before", "released_at = clock_timestamp()", "gone", expect.anything()],
])("one that %s is told apart from one that is released", async (_, end, outcome, reason) => {
  const [held, other] = [await grant("a"), await grant("a")];
  await sql.unsafe(`update leasehold.shares set ${end} where fence = ${String(held.fence)}`);
  const others = await release([held, other]);
  await sql`delete from leasehold.shares`;

  expect(others).toEqual(outcome === "released" ? [] : [[1, outcome, reason]]);
});

test("one in its minimum hold keeps its room until that ends", async () => {
  const [held, other] = [await grant("a", { minHoldMs: 60_000 }), await grant("a", { minHoldMs: 60_000 })];
  await sql`update leasehold.shares set acquired_at = acquired_at - interval '1 minute' where fence = ${String(other.fence)}::bigint`;
  await release([held, other]);
  const rows = await sql`
    select fence::text, released_at is not null as is_released, hold_until > clock_timestamp() as is_kept from leasehold.shares`;
  await sql`delete from leasehold.shares`;

  expect(rows).toEqual([{ fence: String(held.fence), is_released: true, is_kept: true }]);
});
