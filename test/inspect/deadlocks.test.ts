// Cycles of sessions that hold a key and wait for another.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { seeded } from "../support/random.js";
import { until } from "../support/until.js";
import { type Edge, expectCycles } from "./cycles.js";

const database = await createDatabase();
const { sql } = database;
const literal = (numbers: readonly number[]) => `{${numbers.join(",")}}`;

/** What leasehold_internal._cycles finds, each once. Each edge is a key of its own, or (byHolder) one for all who wait for a holder. */
async function findCycles(edges: readonly Edge[], byHolder = false): Promise<number[][]> {
  const holders = [...new Set(edges.map(([, holder]) => holder))];
  const keys = edges.map(([, holder], index) => (byHolder ? holders.indexOf(holder) : index) + 1);
  const rows = await sql`
    select distinct to_jsonb(sessions) as cycle, to_jsonb(keys) as keys
      from leasehold_internal._cycles(${literal(edges.map(([waiter]) => waiter))}::text::integer[], ${literal(keys)}::text::integer[],
                                      ${literal(edges.map(([, holder]) => holder))}::text::integer[], ${literal(keys)}::text::integer[])`;
  for (const { cycle, keys: path } of rows) {
    for (const [place, node] of cycle.entries()) {
      const next = cycle[(place + 1) % cycle.length];
      expect(
        edges.some(([waiter, holder], index) => waiter === node && holder === next && keys[index] === path[place]),
      ).toBe(true);
    }
  }
  return [...new Set(rows.map(({ cycle }) => JSON.stringify(cycle)))].map((cycle) => JSON.parse(cycle));
}

test("in random graphs the cycles that are found are real, and every node of one is in a shortest", async () => {
  const random = seeded("random graphs");
  for (let round = 0; round < 150; round += 1) {
    const size = 2 + Math.floor(random() * 11);
    const ids = Array.from({ length: size }, () => 1 + Math.floor(random() * 2_147_483_647));
    const density = random() * 3;
    const edges: Edge[] = [];
    while (edges.length < size * density) {
      const edge = [ids[Math.floor(random() * size)], ids[Math.floor(random() * size)]] as unknown as Edge;
      if (edge[0] !== edge[1]) edges.push(edge);
    }
    expectCycles(await findCycles(edges), edges);
    expectCycles(await findCycles(edges, true), edges);
  }
});

test("a ring, a star, a chain, two rings that share a node, everybody waiting for everybody", async () => {
  const nodes = Array.from({ length: 60 }, (_, index) => index + 1);
  const ring = nodes.map((node): Edge => [node, (node % 60) + 1]);
  expect(await findCycles(ring)).toEqual([nodes]);
  expect(await findCycles(ring.slice(1))).toEqual([]);
  expect(await findCycles(nodes.slice(1).map((node) => [node, 1]))).toEqual([]);
  const eight: Edge[] = [[1, 2], [2, 1], [2, 3], [3, 4], [4, 2]]; // biome-ignore format: one line a shape
  expect((await findCycles(eight)).sort()).toEqual([[1, 2], [2, 3, 4]]); // biome-ignore format: one line a shape
  expect(await findCycles([])).toEqual([]);
  expect(await findCycles([[1, 1], [2, 2], [1, 2], [2, 3], [3, 1]])).toEqual([[1, 2, 3]]); // biome-ignore format: one line a shape
  const all = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to): Edge => [from, to]));
  expectCycles(await findCycles(all), all);
});

test("processes in a ring are told with their path, until one of them gives up", async () => {
  const names = ["first", "second", "third"] as const;
  const processes = await Promise.all(names.map((owner) => openLockProcess(database, { options: { owner } })));
  await using bystander = openLocker(database, { owner: "bystander" });
  await using _own = await bystander.acquire("ring-own");
  for (const [place, process] of processes.entries()) await process.acquire(`ring-${place}`);
  const end = new AbortController();
  const idle = bystander.acquire("ring-0", { signal: end.signal }).catch(() => undefined);
  for (const [place, process] of processes.entries()) await process.wait([`ring-${(place + 1) % 3}`]);

  const cycles = await until("it is closed", async () => {
    const rows =
      await sql`select to_jsonb(d.keys) as keys, to_jsonb(d.owners) as owners, to_jsonb(d.session_ids) as session_ids, path, since from leasehold.deadlocks d`;
    return rows.length > 0 ? rows : null;
  });
  const sessions = await sql`select id, owner from leasehold.live_sessions where owner <> 'bystander' order by id`;
  const owners = sessions.map(({ owner }) => owner as (typeof names)[number]);
  const [youngest] = await sql`select max(waiting_since) as since from leasehold.waiting where owner <> 'bystander'`;
  // each of three waits for the next; from the smallest session on there is one way round
  const turn = owners.map((_, step) => names[(names.indexOf(owners[0] ?? "first") + step) % 3] ?? "first");
  const keys = turn.map((owner) => `ring-${(names.indexOf(owner) + 1) % 3}`);
  expect([...cycles]).toEqual([
    {
      keys,
      owners: turn,
      session_ids: turn.map((owner) => sessions.find((session) => session.owner === owner)?.id),
      path: turn.map((owner, step) => `${owner} waits for ${keys[step]}, held by ${turn[(step + 1) % 3]}`).join("; "),
      since: youngest?.since,
    },
  ]);

  await processes[1]?.release("ring-1");
  await until("it is open", async () => (await sql`select from leasehold.deadlocks`).length === 0);
  end.abort();
  await idle;
  await processes[0]?.release("ring-0");
  await processes[0]?.worker.next("granted");
  for (const process of processes) await process.close();
});

test("no cycle: a process that waits for itself, a holder that is dead, an expired lease, a holder without presence", async () => {
  expectLeft(database, "sessions", "leases", "waiters");
  await using one = openLocker(database, { takeoverDelayMs: 1_000 });
  await using dying = await openLockProcess(database, { options: { takeoverDelayMs: 1_000, ttlMs: 600_000 } });
  await using absent = openLocker(database, { presence: "off" });
  const end = new AbortController();
  const held = await Promise.all([one.acquire("a"), one.acquire("b"), absent.acquire("c")]);
  await dying.acquire("d");
  const waits = [one.acquire("a"), one.acquire("c"), one.acquire("d"), absent.acquire("b")];
  for (const wait of waits) wait.catch(() => undefined);
  await dying.wait(["a"]);
  await until("it is closed", async () => (await sql`select from leasehold.deadlocks`).length === 1);

  await dying.worker.kill("SIGKILL");
  await (await waits[2])?.release();
  // its entry in the queue outlives it
  const [row] = await sql`select count(*)::int as n from leasehold.waiting where key = 'a'`;
  expect(row?.n).toBeGreaterThan(0);
  expect(await sql`select from leasehold.deadlocks`).toHaveLength(0);
  for (const lock of held) await lock.release();
  end.abort();
  for (const wait of [waits[0], waits[1], waits[3]]) await (await wait)?.release();
});
