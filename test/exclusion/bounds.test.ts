// What a role may ask for that calls the internal functions by itself: no more than the client does.
import { afterEach, expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;
const app = await createRole(database, { grantUsage: true });
const client = await openClient(app.url);

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
});

interface Item {
  readonly token?: string;
  readonly owner?: string;
  readonly ttl?: string;
  readonly minHold?: string;
  readonly maxHold?: string;
  readonly metadata?: string;
  readonly waits?: string;
  readonly takeover?: string;
}

function acquire(keys: string, item: Item) {
  const { token = "gen_random_uuid()", owner = "'o'", ttl = "1000", minHold = "0", maxHold = "null" } = item;
  const { metadata = "null", waits = "false", takeover = "null" } = item;
  const each = (value: string, type: string) => `(select array_agg(${value}::${type}) from unnest(${keys}) k)`;
  return client.unsafe(`select count(*)::int as granted from leasehold_internal.acquire(null, null, ${takeover}, false, ${keys},
    ${each(token, "uuid")}, ${each(owner, "text")}, ${each(ttl, "int")}, ${each(minHold, "int")}, ${each(maxHold, "bigint")},
    ${each(metadata, "text")}, ${each("'infinity'", "float8")}, ${each(waits, "bool")}, ${each("null", "bigint")}) where outcome = 'granted'`);
}

const beyond: readonly (readonly [string, Item])[] = [
  ["a token that is null", { token: "null" }],
  ["an owner that is empty", { owner: "''" }],
  ["an owner of 257 bytes", { owner: "repeat('ä', 128) || 'o'" }],
  ["an owner that is null", { owner: "null" }],
  ["an owner of 50 MB, waiting", { owner: "repeat('o', 50000000)", waits: "true" }],
  ["a TTL of 0", { ttl: "0" }],
  ["a TTL that is null", { ttl: "null" }],
  ["a minimum hold before the grant", { minHold: "-1" }],
  ["a maximum hold before the grant", { maxHold: "-1" }],
  ["a maximum hold that no Date can say", { maxHold: "9000000000000000" }],
  ["metadata of 102 levels", { metadata: "repeat('[', 101) || '1' || repeat(']', 101)" }],
  ["metadata of 5,000 levels", { metadata: "repeat('{\"a\":', 5000) || '1' || repeat('}', 5000)" }],
  ["metadata of more than 65,536 bytes", { metadata: `to_jsonb(repeat('m', 65535))` }],
  ["metadata that Postgres writes out as more than 4 MB", { metadata: "'[' || repeat('1e10000,', 1000) || '0]'" }],
  ["a takeover delay before the heartbeat", { takeover: "-1" }],
];

test.each(beyond)("refused: %s", async (_, item) => {
  await expect(acquire("array['a']", item)).rejects.toMatchObject({ code: "22023" });
  await expect(acquire("array['a', 'b']", item)).rejects.toMatchObject({ code: "22023" });
  expect(await sql`select from leasehold.leases`).toHaveLength(0);
});

test("what is just within them is granted", async () => {
  const item = {
    owner: "repeat('o', 256)",
    ttl: "2147483647",
    maxHold: "2147483647",
    metadata: "to_jsonb(repeat('m', 65534))",
  };
  const [row] = await acquire("(select array_agg('k' || n) from generate_series(1, 1000) n)", item);
  expect(row?.granted).toBe(1_000);
  expect((await acquire("array['number']", { metadata: "'[1e308]'" }))[0]?.granted).toBe(1);
  for (const metadata of ["repeat('[', 100) || '1' || repeat(']', 100)", "'[' || repeat('[],', 1000) || '{}]'"]) {
    expect((await acquire(`array[md5(${metadata})]`, { metadata }))[0]?.granted).toBe(1);
  }
});

test("a call takes 1,000 items at most", async () => {
  const keys = "(select array_agg('k' || n) from generate_series(1, 1001) n)";
  await expect(acquire(keys, {})).rejects.toMatchObject({ code: "LH003" });
  const each = (value: string) => `(select array_agg(${value}) from generate_series(1, 1001))`;
  const [tokens, fences] = [each("gen_random_uuid()"), each("1::bigint")];
  for (const call of [
    `release(true, ${keys}, ${tokens}, ${fences})`,
    `abandon(true, ${keys}, ${tokens}, ${each("true")}, ${each("true")})`,
    `renew(null, null, null, ${keys}, ${tokens}, ${fences}, ${each("1000")})`,
    `notify(${each("1")})`,
  ]) {
    await expect(client.unsafe(`select from leasehold_internal.${call}`), call).rejects.toMatchObject({
      code: "LH003",
    });
  }
});

test("a session tells no more of itself than it may, and a connection has 100 at most", async () => {
  const open = (ids: string, owner: string, rest = "'h', 'v'") =>
    client.unsafe(`select leasehold_internal.open_session(id, gen_random_uuid(), ${owner}, ${rest})
      from (select id, pg_advisory_lock(1279480140, id) from generate_series(${ids}) id) s`);
  await expect(open("1, 1", "repeat('o', 257)")).rejects.toMatchObject({ code: "22023" });
  await open("1, 1", "'o'", "repeat('h', 100000), repeat('v', 100000)");
  const [row] = await sql`select length(host) as host, length(version) as version from leasehold.sessions`;
  expect(row).toEqual({ host: 255, version: 64 });
  await expect(open("1000000, 1000100", "'o'")).rejects.toMatchObject({ code: "LH003" });
  await client`select pg_advisory_unlock_all()`;
  expect((await sql`select from leasehold.sessions`).length).toBeLessThanOrEqual(100);
});
