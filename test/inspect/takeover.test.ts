// A grant says from whom it took the key, if that one had not released it.
import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, seenAt } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a grant of a key that was never held, or was released, took it from nobody", async () => {
  const fresh = await ask(sql, ["fresh"]);
  await giveBack(sql, fresh);
  const again = await ask(sql, ["fresh", "another"]);
  await giveBack(sql, again);

  const expected = { outcome: "granted", takeover: null, holder: null, holderFence: null, since: null };
  for (const asked of [...fresh, ...again]) expect(asked).toMatchObject(expected);
});

test("a grant of a key whose lease has run out says whose it was, and since when it had expired", async () => {
  const [silent] = await ask(sql, ["a"]);
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '3 seconds' where key = 'a'`;
  const { expiresAt } = await leaseRow(sql, "a");

  const taken = await ask(sql, ["a", "free"]);

  expect(taken).toMatchObject([
    {
      outcome: "granted",
      takeover: "expired",
      holder: "asker",
      holderFence: silent?.fence,
      since: expect.closeTo(expiresAt, 2),
    },
    { outcome: "granted", takeover: null },
  ]);
  await giveBack(sql, taken);
});

test("a grant of a dead process's key says so, and when that was last seen", async () => {
  await using holder = await openLockProcess(database, { options: { takeoverDelayMs: 1_000, owner: "the dead one" } });
  const { fence } = await holder.acquire("b");
  const { sessionId } = await leaseRow(sql, "b");
  await holder.worker.kill("SIGKILL");
  expectLeft(database, "sessions");

  const taken = await until("the key is granted", async () => {
    const asked = await ask(sql, ["b"]);
    return asked[0]?.outcome === "granted" ? asked : null;
  });

  const since = await seenAt(sql, sessionId);
  expect(taken).toMatchObject([
    { takeover: "orphaned", holder: "the dead one", holderFence: fence, since: expect.closeTo(since, 2) },
  ]);
  await giveBack(sql, taken);
});
