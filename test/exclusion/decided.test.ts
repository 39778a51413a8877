// Whether a key can be granted is decided under the lock of its row. What was seen before is a hint, and may be outdated.
import { expect, test } from "vitest";
import { lookRow } from "../support/acts.js";
import { ask, giveBack } from "../support/ask.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { pauseMoments, pauseReads } from "../support/paused-reads.js";

const database = await createDatabase();
const { sql } = database;

test("who saw that a key is free, and stood still until another had it, is not granted it", async () => {
  const slow = await openClient(database.url);
  // held by a session that is dead: to find that out its row is read
  await ask(sql, ["a"]);
  expectLeft(database, "sessions");
  await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (7, gen_random_uuid(), 'dead', 1, 'host', '', '', now(), now() - interval '1 hour')`;
  await sql`update leasehold.leases set session_id = 7, takeover_ms = 1 where key = 'a'`;
  await using reads = await pauseReads(sql, "seen_at");

  const asked = ask(slow, ["a"]);
  await reads.reached();
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'a'`;
  const between = await ask(sql, ["a"]);
  await reads.goOn();
  const late = await asked;

  expect(between).toMatchObject([{ outcome: "granted" }]);
  expect(late).toMatchObject([{ outcome: "held" }]);
  expect((await leaseRow(sql, "a")).token).toBe(between[0]?.token);
  await giveBack(sql, between);
  await slow.end();
});

test("who saw that it is next, and stood still until another was ahead in the queue, is not granted it", async () => {
  const slow = await openClient(database.url);
  await ask(sql, ["b"]);
  expectLeft(database, "leases", "waiters", "sessions");
  await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (8, gen_random_uuid(), 'dead', 1, 'host', '', '', now(), now() - interval '1 hour')`;
  await sql`update leasehold.leases set session_id = 8, takeover_ms = 1 where key = 'b'`;
  await using reads = await pauseReads(sql, "seen_at");

  const asked = ask(slow, ["b"]);
  await reads.reached();
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'b'`;
  const between = await ask(sql, ["b"]);
  const [waiting] = await sql.unsafe(`select outcome from ${lookRow({ key: "b", waits: true })}`);
  await sql`update leasehold.waiters set alive_until = clock_timestamp() + interval '1 hour'`;
  await giveBack(sql, between);
  await reads.goOn();
  const late = await asked;

  expect(waiting?.outcome).toBe("queued");
  expect(late).toMatchObject([{ outcome: "held" }]);
  expect((await leaseRow(sql, "b")).token).toBeNull();
  await slow.end();
});

test.each([
  ["was taken by force", "revoked_at = clock_timestamp()"],
  ["expired", "expires_at = clock_timestamp()"],
])("who saw its own grant, and stood still until it %s, is not granted it again", async (_, end) => {
  const slow = await openClient(database.url);
  const [first] = await ask(sql, ["c"]);
  expectLeft(database, "leases");
  const again = lookRow({ key: "c", token: first?.token ?? "" });
  const [before] = await sql.unsafe(`select outcome from ${again}`);
  const [process] = await slow`select pg_backend_pid() as pid`;
  const moments = await pauseMoments(sql, process?.pid);

  const asked = slow.unsafe(`select outcome from ${again}`).execute();
  await moments.reached();
  await sql.unsafe(`update leasehold.leases set ${end} where key = 'c'`);
  await moments.goOn();
  const [after] = await asked;
  await moments[Symbol.asyncDispose]();
  await sql`delete from leasehold.leases where key = 'c'`;
  await slow.end();

  expect(before?.outcome).toBe("granted");
  expect(after?.outcome).toBe("busy");
});
