// What the functions are given: the same keys as a client takes, and an error that says what is wrong with all else.
import { describe, expect, test } from "vitest";
import { checkKey } from "../../src/config/key.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;

const keys = [
  "",
  "a",
  " ",
  "a b\tc\n",
  "order:42",
  "'; drop table leases; --",
  "x".repeat(512),
  "x".repeat(513),
  "ü".repeat(256),
  "ü".repeat(257),
  "🔒".repeat(128),
  "🔒".repeat(129),
  "\u200b",
  "A",
  "%3A",
];

const isKey = (key: string): boolean => {
  try {
    return checkKey(key) === key;
  } catch {
    return false;
  }
};

test.each(keys.map((key) => [key.slice(0, 20), Buffer.byteLength(key), key]))(
  "a key is one in SQL when it is one for the client: %j (%i bytes)",
  async (_, __, key) => {
    const calls = [
      sql`select leasehold.check(${key})`,
      sql`select leasehold.release(${key}, gen_random_uuid())`,
      sql`select leasehold.renew(${key}, gen_random_uuid())`,
      sql`select leasehold.force_release(${key})`,
    ];
    for (const call of calls) {
      const refusal = await call.then(
        () => null,
        (error: { code: string }) => error.code,
      );
      expect(refusal === "LH003").toBe(!isKey(key));
    }
    const grant = await sql`select * from leasehold.try_acquire(${key})`.catch(() => [null]);
    expect(grant[0]?.acquired ?? false).toBe(isKey(key));
    if (grant[0])
      expect(await sql`select key from leasehold.leases where token = ${grant[0].token}`).toEqual([{ key }]);
    await sql`delete from leasehold.leases`;
  },
);

describe("LH003, with what was expected and what came", () => {
  const ttl = "a TTL is 100 ms to 2147483647 ms (24 days), not ";
  test.each([
    ["try_acquire(null)", "a key has 1 to 512 bytes, this one has none: it is null"],
    ["try_acquire('')", "a key has 1 to 512 bytes, this one has 0"],
    ["try_acquire(repeat('x', 513))", "a key has 1 to 512 bytes, this one has 513"],
    ["try_acquire('a', null)", `${ttl}null`],
    ["try_acquire('a', '0')", `${ttl}00:00:00`],
    ["try_acquire('a', '99 ms')", `${ttl}00:00:00.099`],
    ["try_acquire('a', '-1 s')", `${ttl}-00:00:01`],
    ["try_acquire('a', '1 month')", `${ttl}1 mon`],
    ["try_acquire('a', owner => '')", "an owner has 1 to 256 bytes, this one has 0"],
    ["try_acquire('a', owner => repeat('x', 257))", "an owner has 1 to 256 bytes, this one has 257"],
    [
      "try_acquire('a', metadata => to_jsonb(repeat('x', 65535)))",
      "metadata has at most 65536 bytes as JSON, not 65537",
    ],
    [
      "try_acquire('a', metadata => (repeat('[', 102) || repeat(']', 102))::jsonb)",
      "metadata has 100 levels at most, and numbers that can be written out",
    ],
    ["renew(null, gen_random_uuid())", "a key has 1 to 512 bytes, this one has none: it is null"],
    ["renew('a', null)", "the token is null"],
    ["renew('a', gen_random_uuid(), '1 ms')", `${ttl}00:00:00.001`],
    ["release(null, gen_random_uuid())", "a key has 1 to 512 bytes, this one has none: it is null"],
    ["release('a', null)", "the token is null"],
    ["check(null)", "a key has 1 to 512 bytes, this one has none: it is null"],
    ["attach('')", "an owner has 1 to 256 bytes, this one has 0"],
    ["force_release(null)", "a key has 1 to 512 bytes, this one has none: it is null"],
    ["force_release('a', 0)", "a fence is 1 or more, not 0"],
    ["force_release('a', immediate => null)", "immediate is null"],
  ])("%s", async (call, message) => {
    await expect(sql.unsafe(`select leasehold.${call}`)).rejects.toMatchObject({
      code: "LH003",
      message,
      hint: expect.stringMatching(/.\.$|;$/),
    });
    expect(await sql`select from leasehold.leases`).toHaveLength(0);
  });
});

test.each([
  ["null", "a key has 1 to 512 bytes, this one has none: it is null"],
  ["repeat('x', 513)", "a key has 1 to 512 bytes, this one has 513"],
  ["'a', wait => '-1 s'", "a wait is 0 or longer, not -00:00:01"],
  ["'a', ttl => null", "a TTL is 100 ms to 2147483647 ms (24 days), not null"],
  ["'a', owner => ''", "an owner has 1 to 256 bytes, this one has 0"],
  ["'a', metadata => to_jsonb(repeat('x', 65535))", "metadata has at most 65536 bytes as JSON, not 65537"],
])("LH003 of call leasehold.acquire(%s)", async (given, message) => {
  await expect(sql.unsafe(`call leasehold.acquire(${given})`)).rejects.toMatchObject({
    code: "LH003",
    message,
    hint: expect.stringMatching(/.\.$|;$/),
  });
  expect(await sql`select from leasehold.leases`).toHaveLength(0);
});

test("what is not of the type at all is refused by Postgres", async () => {
  const refusals: [string, string][] = [
    ["try_acquire(42)", "42883"],
    ["try_acquire('a', 'soon')", "22007"],
    ["release('a', 'x')", "22P02"],
    ["try_acquire('a', metadata => '{')", "22P02"],
  ];
  for (const [call, code] of refusals) {
    await expect(sql.unsafe(`select leasehold.${call}`), call).rejects.toMatchObject({ code });
  }
});

test("the bounds themselves are taken", async () => {
  for (const given of ["'100 ms'", "'2147483647 ms'", "'1 s', repeat('o', 256), to_jsonb(repeat('x', 65534))"]) {
    expect(await sql.unsafe(`select acquired from leasehold.try_acquire('bounds', ${given})`)).toEqual([
      { acquired: true },
    ]);
    await sql`delete from leasehold.leases`;
  }
});

test("a key, or an owner, may come from a column with a collation of its own", async () => {
  const given = (text: string) => `'${text}'::text collate "en-x-icu"`;
  const call = async (text: string) => (await sql.unsafe(`select * from leasehold.${text}`))[0];
  const grant = await call(`try_acquire(${given("collated")}, owner => ${given("me")})`);
  expect(grant).toMatchObject({ acquired: true });
  expect(await call(`try_acquire(${given("collated")})`)).toMatchObject({ acquired: false, holder: "me" });
  expect(await call(`check(${given("collated")})`)).toMatchObject({ state: "held" });
  const [again] = await sql.unsafe(
    `call leasehold.acquire(${given("collated")}, owner => ${given("me")}, token => '${grant?.token}')`,
  );
  expect(again?.fence).toBe(grant?.fence);
  await call(`renew(${given("collated")}, '${grant?.token}')`);
  await expect(call(`renew(${given("collated")}, gen_random_uuid())`)).rejects.toMatchObject({ code: "LH002" });
  expect(await call(`force_release(${given("collated")})`)).toMatchObject({ outcome: "revoked" });
  await expect(call(`renew(${given("collated")}, '${grant?.token}')`)).rejects.toMatchObject({ code: "LH002" });
  expect(await call(`release(${given("collated")}, '${grant?.token}')`)).toEqual({ release: true });
  // of two columns with two of them
  const [row] = await sql.unsafe(`
    select g.acquired
      from (select ${given("collated")} as key, 'me'::text collate "ucs_basic" as owner) job
     cross join lateral leasehold.try_acquire(job.key, owner => job.owner) g`);
  expect(row).toEqual({ acquired: true });
  await sql`delete from leasehold.leases`;
});

test("each name is there once: a call without types is never ambiguous", async () => {
  expect(
    await sql`select proname from pg_proc where pronamespace = 'leasehold'::regnamespace group by proname having count(*) > 1`,
  ).toEqual([]);
});

test("each public function says what it does, with an example", async () => {
  const silent = await sql`
    select p.oid::regprocedure::text as name, obj_description(p.oid, 'pg_proc') as said
      from pg_proc p
     where p.pronamespace = 'leasehold'::regnamespace and p.prorettype <> 'trigger'::regtype
       and coalesce(obj_description(p.oid, 'pg_proc'), '') !~ ('leasehold\\.' || p.proname || '\\M')`;
  expect(silent.map(({ name }) => name)).toEqual([]);
});
