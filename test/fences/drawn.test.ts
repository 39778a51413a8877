// A fence is drawn, and the clock read, once the row is locked: before, a grant may have come in between.
import { expect, test } from "vitest";
import { releaseRows } from "../support/acts.js";
import { ask, giveBack } from "../support/ask.js";
import { acquireFirst } from "../support/batches.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { pauseChecks, pauseReads } from "../support/paused-reads.js";

const database = await createDatabase();
const { sql } = database;

const ways = [
  ["the first attempt", acquireFirst],
  ["another attempt", ask],
] as const;
const sizes = [
  ["alone", ["a"]],
  ["in a batch", ["a", "b", "c"]],
] as const;
const cases = ways.flatMap(([way, acquire]) =>
  sizes.flatMap(([size, names]) =>
    ["free", "new"].flatMap((state) =>
      // What the statement that locks has seen, it was told when it began. So some stand still before it.
      ["in its statement", "before it"].map(
        (place) => [`${way}, ${size}, ${state}, ${place}`, { acquire, names, state, place }] as const,
      ),
    ),
  ),
);

test.each(cases)(
  "a grant that stood still before its lock is later, by its fence and its time, than one that went by meanwhile: %s",
  async (label, { acquire, names, state, place }) => {
    const keys = names.map((name) => `${label} ${name}`);
    const session = { id: 7, nonce: crypto.randomUUID() };
    expectLeft(database, "sessions");
    await sql`delete from leasehold.sessions`;
    await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (${session.id}, ${session.nonce}, 'slow', 1, 'host', '', '', now(), now())`;
    const slow = await openClient(database.url);
    await slow`select pg_advisory_lock(1279480140, ${session.id}::int)`;
    if (state === "free") await giveBack(sql, await ask(sql, keys)); // their rows are there
    const [{ pid } = {}] = await slow`select pg_backend_pid() as pid`;
    await using reads = await (place === "before it" ? pauseChecks(sql, pid) : pauseReads(sql, "nonce"));

    const asked = acquire(slow, keys, { session });
    await reads.reached();
    const between = await ask(sql, keys);
    await giveBack(sql, between);
    // Purged meanwhile: more than the sweeper would do in so short a time.
    if (state === "new") await sql`delete from leasehold.leases`;
    const [{ released } = {}] = await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as released`;
    await reads.goOn();
    const granted = await asked;

    expect(between.map(({ outcome }) => outcome)).toEqual(keys.map(() => "granted"));
    expect(granted.map(({ outcome }) => outcome)).toEqual(keys.map(() => "granted"));
    for (const [index, { key, fence }] of granted.entries()) {
      expect(fence).toBeGreaterThan(between[index]?.fence as bigint);
      const row = await leaseRow(sql, key);
      expect(row.acquiredAt).toBeGreaterThan(released);
    }
    await sql.unsafe(`select from ${releaseRows(granted)} a`);
    await slow.end();
  },
);
