// Whether a key can be granted is decided under the lock of its row. What was seen before is a hint, and may be over.
import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { pauseReads } from "../support/paused-reads.js";

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
