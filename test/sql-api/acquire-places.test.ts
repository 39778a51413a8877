// Where leasehold.acquire can be called: it commits, so only where a commit is allowed. Elsewhere nothing is granted.
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase, createRole } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";

const database = await createDatabase();
const { sql } = database;

const granted = async () => [...(await sql`select key from leasehold.leases where token is not null`)];

const refused: readonly (readonly [string, readonly string[]])[] = [
  ["in a transaction", ["begin", "call leasehold.acquire('a')"]],
  ["in a message with other statements", ["select 1; call leasehold.acquire('a')"]],
  [
    "in a function",
    [
      `create function pg_temp.waits() returns uuid language plpgsql as $$
       declare token uuid; fence bigint; until timestamptz;
       begin call leasehold.acquire('a', token => token, fence => fence, expires_at => until); return token; end $$`,
      "select pg_temp.waits()",
    ],
  ],
  [
    "in a block that catches exceptions",
    [
      `do $$
       declare token uuid; fence bigint; until timestamptz;
       begin call leasehold.acquire('a', token => token, fence => fence, expires_at => until);
       exception when division_by_zero then null; end $$`,
    ],
  ],
];

test.each(refused)("%s it is refused before anything is granted", async (_, statements) => {
  await using session = await openSession(database);
  for (const statement of statements.slice(0, -1)) await session.run(statement);
  const error = await session.run(statements.at(-1) as string).catch((refusal) => refusal);
  await session.run("commit").catch(() => undefined);
  expect(error).toMatchObject({ code: "2D000" });
  expect(await granted()).toEqual([]);
});

test("in a block of its own it waits and commits: what was granted stays, whatever the block does next", async () => {
  await using session = await openSession(database);
  const block = `do $$
    declare token uuid; fence bigint; until timestamptz;
    begin
      call leasehold.acquire('block', ttl => '1 min', token => token, fence => fence, expires_at => until);
      raise exception '% %', token, fence;
    end $$`;
  const error = await session.run(block).catch((refusal) => refusal);
  const row = await leaseRow(sql, "block");
  await sql`delete from leasehold.leases`;
  expect(error).toMatchObject({ message: `${row.token} ${row.fence}` });
});

test("where transactions are repeatable read by default it refuses, as try_acquire does", async () => {
  await using session = await openSession(database);
  await session.run("set default_transaction_isolation = 'repeatable read'");
  await expect(session.run("call leasehold.acquire('a')")).rejects.toMatchObject({
    code: "LH004",
    hint: expect.stringContaining("default_transaction_isolation"),
  });
  expect(await granted()).toEqual([]);
});

test("a grant is durable when it is answered, where the session has asked for less", async () => {
  await using session = await openSession(database);
  await session.run("set synchronous_commit = off");
  await session.run("call leasehold.acquire('durable')");
  // its fence is the position of the write-ahead log at which it was drawn, in units of 64 bytes
  const [row] = await sql`
    select (fence & ((1::bigint << 48) - 1)) * 64 <= pg_current_wal_flush_lsn() - '0/0'::pg_lsn as flushed
      from leasehold.leases where key = 'durable'`;
  expect(row).toEqual({ flushed: true });
  expect(await session.setting("synchronous_commit")).toBe("off");
  await sql`delete from leasehold.leases`;
});

test("a role that was granted usage may call it, and another may not", async () => {
  const app = await createRole(database, { grantUsage: true });
  const stranger = await createRole(database);
  await using session = await openSession(app.url);
  await using other = await openSession(stranger.url);
  const [row] = await session.run("call leasehold.acquire('role')");
  expect(row?.fence).toEqual(expect.any(String));
  await expect(other.run("call leasehold.acquire('role', wait => '0')")).rejects.toMatchObject({ code: "42501" });
  await expect(session.run("call leasehold.acquire('role', wait => '0')")).rejects.toMatchObject({ code: "LH009" });
  await sql`delete from leasehold.leases`;
});
