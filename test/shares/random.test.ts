import { expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { chooseSeed } from "../support/random.js";
import { createRecord, judge, judgeEvents } from "./oracle.js";

const database = await createDatabase();
const { sql } = database;
await createRecord(sql);

const rounds = process.env.LEASEHOLD_LONG ? 400 : 40;
const seed = chooseSeed("shares");

test("readers, writers and parts of semaphores of changing capacities, over three processes, keep every bound", async () => {
  const keys = ["a", "b"];
  const open = (presence: "on" | "off") =>
    startWorker("test/shares/share-worker.ts", { url: database.url, options: { presence } });
  await using first = await open("on");
  await using second = await open("on");
  await using third = await open("off");
  const workers = [first, second, third];

  // who waits without presence is not woken from outside: few, for each may cost the queue a second
  const loops = [8, 8, 2];
  const counts = await Promise.all(
    workers.map((worker, index) =>
      worker.request<Record<string, number>>(
        "run",
        { keys, loops: loops[index], rounds: index === 2 ? rounds / 4 : rounds, seed: seed + index },
        { timeoutMs: 240_000 },
      ),
    ),
  );

  const { entries, most, problems, inside } = await judge(sql);
  const sum = (sort: string) => counts.reduce((total, count) => total + (count[sort] ?? 0), 0);
  expect(problems).toEqual([]);
  expect(inside).toBe(0);
  expect(entries).toBe(sum("exclusive") + sum("shared") + sum("semaphore"));
  for (const sort of ["exclusive", "shared", "semaphore", "refused", "cancelled"]) {
    expect(sum(sort), sort).toBeGreaterThan(0);
  }
  expect(most).toBeGreaterThan(2); // they did meet
  for (const worker of workers) await worker.request("close");
  expect(await sql`select from leasehold.shares`).toHaveLength(0);
  expect(await sql`select from leasehold.waiters`).toHaveLength(0);
});

test("the oracle sees each kind of fault", () => {
  const enters = (fence: number, weight: number | null, capacity: number | null = null) => ({
    key: "k",
    fence: String(fence),
    weight,
    capacity,
    enters: true,
  });
  const found = (...events: Parameters<typeof judgeEvents>[0]) => judgeEvents(events).problems;
  const { enters: _, ...gone } = enters(1, 1);

  expect(found(enters(1, null), enters(2, 1))).toEqual(["k: 1 alone, 2 with 1 of any at once"]);
  expect(found(enters(1, 1), enters(2, null))).toHaveLength(1);
  expect(found(enters(1, 1, 2), enters(2, 2, 3))).toEqual(["k: 3 of 2: 1 with 1 of 2, 2 with 2 of 3"]);
  expect(found(enters(1, 1), enters(1, 1))).toEqual(["k: fence 1 was given twice"]);
  expect(found(enters(5, null), { ...enters(5, null), enters: false }, enters(4, 1))).toEqual(["k: fence 4 after 5"]);
  expect(found(enters(1, 1), { ...gone, enters: false }, enters(2, null))).toEqual([]);
});
