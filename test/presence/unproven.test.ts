// Who names a session must have one that lives, as seen from that very connection: else nothing is granted, and nothing renewed.
import { expect, test } from "vitest";
import { firstAttemptRows, renewRows } from "../support/acts.js";
import { ask, giveBack } from "../support/ask.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";

const database = await createDatabase();
const { sql } = database;
const presenceClass = 1279480140;

const session = { id: 7, nonce: crypto.randomUUID() };

/** Whose row is there, and whose presence lock may be. */
async function insertSession(): Promise<void> {
  expectLeft(database, "sessions");
  await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (${session.id}, ${session.nonce}, 'owner', 1, 'host', '', '', now(), now())`;
}

test.each([
  ["is unknown", { id: 8, nonce: crypto.randomUUID() }, true],
  ["has another nonce by now", { id: 7, nonce: crypto.randomUUID() }, true],
  ["does not hold its presence lock", session, false],
])("a session that %s gets and keeps nothing, alone and in a batch", async (_, named, isLocked) => {
  await insertSession();
  const holder = await openClient(database.url);
  if (isLocked) await holder`select pg_advisory_lock(${presenceClass}, ${session.id})`;
  const [held] = await ask(sql, ["held"]);
  await giveBack(sql, await ask(sql, ["free", "free too"]));
  const rows = () => sql`select * from leasehold.leases order by key`;
  const before = await rows();

  const outcomes = [];
  for (const keys of [["new"], ["free"], ["new", "newer"], ["free", "free too"]]) {
    outcomes.push(...(await ask(sql, keys, { session: named })).map(({ outcome }) => outcome));
  }
  const first = firstAttemptRows([{ key: "new" }, { key: "free" }], { session: named });
  outcomes.push(...(await sql.unsafe(`select outcome from ${first} a`)).map(({ outcome }) => outcome));
  const renewed = await sql.unsafe(`select outcome from ${renewRows(held ? [held] : [], { session: named })} a`);

  expect(new Set(outcomes)).toEqual(new Set(["unproven"]));
  expect([...renewed]).toEqual([{ outcome: "unproven" }]);
  expect([...(await rows())]).toEqual([...before]);
  if (held) await giveBack(sql, [held]);
  await holder.end();
});

test("a session that holds its presence lock on another connection is alive", async () => {
  await insertSession();
  const holder = await openClient(database.url);
  await holder`select pg_advisory_lock(${presenceClass}, ${session.id})`;

  const granted = await ask(sql, ["a"], { session });

  expect(granted).toMatchObject([{ outcome: "granted" }]);
  await giveBack(sql, granted);
  await holder.end();
});
