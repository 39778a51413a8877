// An acquire that reaches the server when its caller has given up does nothing there (P10): nobody would release it.
import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;

test.each([
  ["a new key", ["new"], false],
  ["a free key", ["free"], true],
  ["new keys", ["new-1", "new-2"], false],
  ["free keys", ["free-1", "free-2"], true],
])("an acquire of %s that comes too late is granted nothing, and in time it is", async (_, keys, exist) => {
  if (exist) await giveBack(sql, await ask(sql, keys));
  const [{ now } = {}] = await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  const rows = () => sql`select key, fence, token from leasehold.leases where key = any(${`{${keys}}`}::text::text[])`;
  const before = await rows();

  const late = await ask(sql, keys, { notAfterMs: now - 1 });
  const after = await rows();
  const inTime = await ask(sql, keys, { notAfterMs: now + 3_600_000 });

  expect(late.map(({ outcome }) => outcome)).toEqual(keys.map(() => "late"));
  expect(after).toEqual(before);
  expect(inTime.map(({ outcome }) => outcome)).toEqual(keys.map(() => "granted"));
  await giveBack(sql, inTime);
});
