// A fence is drawn once the row is locked. Drawn before, it is smaller than that of a grant which came in between.
import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { pauseReads } from "../support/paused-reads.js";

const database = await createDatabase();
const { sql } = database;

test.each([
  ["alone", ["a"]],
  ["in a batch", ["a", "b", "c"]],
])(
  "a grant that stood still before its lock has a larger fence than one that went by meanwhile: %s",
  async (_, keys) => {
    const session = { id: 7, nonce: crypto.randomUUID() };
    expectLeft(database, "sessions");
    await sql`delete from leasehold.sessions`;
    await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (${session.id}, ${session.nonce}, 'slow', 1, 'host', '', '', now(), now())`;
    const slow = await openClient(database.url);
    await slow`select set_config('leasehold.session', ${session.nonce}, false)`;
    await giveBack(sql, await ask(sql, keys)); // their rows are there
    await using reads = await pauseReads(sql, "nonce");

    const asked = ask(slow, keys, { session });
    await reads.reached();
    const between = await ask(sql, keys);
    await giveBack(sql, between);
    await reads.goOn();
    const granted = await asked;

    expect(between.map(({ outcome }) => outcome)).toEqual(keys.map(() => "granted"));
    expect(granted.map(({ outcome }) => outcome)).toEqual(keys.map(() => "granted"));
    for (const [index, { fence }] of granted.entries()) expect(fence).toBeGreaterThan(between[index]?.fence as bigint);
    await giveBack(sql, granted);
    await slow.end();
  },
);
