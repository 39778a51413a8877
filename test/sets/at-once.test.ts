import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();

test("smoke", async () => {
  await using a = openLocker(database);
  await using b = openLocker(database);
  const set = await a.acquireAll(["y", "x", "y", "z"]);
  expect(set.locks.map((l) => l.key)).toEqual(["y", "x", "z"]);
  expect(await b.tryAcquireAll(["a", "x"])).toBeNull();
  expect(await b.tryWithLocks(["a", "z", "b"], () => 1)).toMatchObject({ acquired: false, key: "z" });
  const waiting = b.acquireAll(["w", "x", "zz"]);
  await new Promise((r) => setTimeout(r, 300));
  console.log(b.locks().length, await a.check("w"), await a.check("zz"));
  await set.release();
  const set2 = await waiting;
  console.log(JSON.stringify(set2, null, 1));
  await set2.release();
  const many = await a.acquireAll(Array.from({ length: 250 }, (_, i) => `k${i}`));
  expect(many.held).toBe(true);
  await many.release();
  const again = await a.acquireAll(Array.from({ length: 250 }, (_, i) => `k${i}`));
  await again.release();
});
