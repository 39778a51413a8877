// What a role may ask for that calls the internal functions by itself: no more than the client does.
import { afterEach, expect, test } from "vitest";
import {
  type Asking,
  abandonRows,
  acquireRows,
  type Caller,
  type Expression,
  expression,
  firstAttemptRows,
  keepEntriesRows,
  releaseRows,
  renewRows,
} from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;
const app = await createRole(database, { grantUsage: true });
const client = await openClient(app.url);

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
});

type Item = Omit<Asking, "key"> & Pick<Caller, "takeoverMs">;

async function acquire(keys: readonly (string | Expression)[], { takeoverMs = null, ...item }: Item): Promise<number> {
  const rows = acquireRows(
    keys.map((key) => ({ key, ...item })),
    { takeoverMs },
  );
  const [row] = await client.unsafe(`select count(*)::int as granted from ${rows} a where outcome = 'granted'`);
  return row?.granted;
}

const nested = (levels: number) => `${"[".repeat(levels)}1${"]".repeat(levels)}`;
const beyond: readonly (readonly [string, Item])[] = [
  ["a token that is null", { token: null }],
  ["an owner that is empty", { owner: "" }],
  ["an owner of 257 bytes", { owner: `${"ä".repeat(128)}o` }],
  ["an owner that is null", { owner: null }],
  ["an owner of 50 MB, waiting", { owner: expression("repeat('o', 50000000)"), waits: true }],
  ["a TTL of 0", { ttlMs: 0 }],
  ["a TTL that is null", { ttlMs: null }],
  ["a minimum hold before the grant", { minHoldMs: -1 }],
  ["a maximum hold before the grant", { maxHoldMs: -1 }],
  ["a maximum hold that no Date can say", { maxHoldMs: 9_000_000_000_000_000n }],
  ["metadata of 102 levels", { metadata: nested(101) }],
  ["metadata of 5,000 levels", { metadata: `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}` }],
  ["metadata of more than 65,536 bytes", { metadata: JSON.stringify("m".repeat(65_535)) }],
  ["metadata that Postgres writes out as more than 4 MB", { metadata: `[${"1e10000,".repeat(1_000)}0]` }],
  ["a takeover delay before the heartbeat", { takeoverMs: -1 }],
];

test.each(beyond)("refused: %s", async (_, item) => {
  await expect(acquire(["a"], item)).rejects.toMatchObject({ code: "22023" });
  await expect(acquire(["a", "b"], item)).rejects.toMatchObject({ code: "22023" });
  expect(await sql`select from leasehold.leases`).toHaveLength(0);
});

test("what is just within them is granted", async () => {
  const item = {
    owner: "o".repeat(256),
    ttlMs: 2_147_483_647,
    maxHoldMs: 2_147_483_647,
    metadata: expression("to_jsonb(repeat('m', 65534))"),
  };
  expect(await acquire(keys(1_000), item)).toBe(1_000);
  expect(await acquire(["number"], { metadata: "[1e308]" })).toBe(1);
  for (const metadata of [nested(100), `[${"[],".repeat(1_000)}{}]`]) {
    expect(await acquire([metadata.slice(0, 10)], { metadata })).toBe(1);
  }
});

const keys = (count: number) => Array.from({ length: count }, (_, n) => `k${n}`);

test("a call takes 1,000 items at most", async () => {
  const items = keys(1_001).map((key) => ({ key, token: crypto.randomUUID(), fence: 1 }));
  for (const call of [
    acquireRows(items),
    firstAttemptRows(items),
    releaseRows(items),
    abandonRows(items),
    renewRows(items),
    keepEntriesRows(items),
    "leasehold_internal.notify_next(null, array_fill('k'::text, array[1001]))",
  ]) {
    await expect(client.unsafe(`select from ${call} a`), call.slice(0, 200)).rejects.toMatchObject({ code: "LH003" });
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
