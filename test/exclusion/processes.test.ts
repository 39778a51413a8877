import { expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { createWitness, verdict } from "../support/witness.js";

const database = await createDatabase();
const { sql } = database;
await createWitness(sql);

const rounds = process.env.LEASEHOLD_LONG ? 400 : 16;

test("over three processes, with and without presence, nobody is in a key's critical section while another is, and fences rise", async () => {
  const keys = ["a", "b", "c"];
  const contender = (presence: "on" | "off") =>
    startWorker("test/exclusion/section-worker.ts", { url: database.url, options: { presence } });
  await using first = await contender("on");
  await using second = await contender("on");
  await using third = await contender("off");
  const workers = [first, second, third];

  // who waits without presence is not woken from outside: few, for each may cost the queue a second
  const loops = [6, 6, 2];

  const counts = await Promise.all(
    workers.map((worker, index) =>
      worker.request<{ waited: number; tried: number }>(
        "run",
        { keys, loops: loops[index], rounds },
        { timeoutMs: 240_000 },
      ),
    ),
  );

  const seen = await verdict(sql);
  const entries = counts.reduce((sum, { waited, tried }) => sum + waited + tried, 0);
  expect(seen).toEqual({ entries, clashes: 0, inversions: 0, inside: 0 });
  const waits = Array.from({ length: rounds }, (_, round) => round).filter((round) => round % 4 !== 3).length;
  expect(counts.map(({ waited }) => waited)).toEqual(loops.map((count) => count * waits));
  const [granted] = await sql`select sum(acquisitions)::int as count from leasehold.leases`;
  expect(granted?.count).toBe(entries);
  for (const worker of workers) await worker.request("close");
});
