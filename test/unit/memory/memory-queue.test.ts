// The queue of a key in memory: in the order of tickets, woken, and without those who no longer look.
import { describe, expect, test } from "vitest";
import type { MemoryProcess } from "../../../src/memory/memory-process.js";
import { nobody } from "../../../src/memory/memory-process.js";
import { MemoryQueue } from "../../../src/memory/memory-queue.js";
import { type Process, World } from "./processes.js";

const waits = { waits: true };

function setUp(): { readonly world: World; readonly one: Process; readonly other: Process } {
  const world = new World();
  return { world, one: world.process(), other: world.process() };
}

describe("the queue", () => {
  test("serves in the order of joining, over processes, and refuses tries meanwhile", async () => {
    const { one, other } = setUp();
    const grant = await one.take("x");
    const tickets = [await one.queueUp("y"), await other.queueUp("z")];
    expect(tickets[0]).toBeLessThan(tickets[1] as bigint);
    await one.store.release(grant);
    expect(await other.look("try")).toEqual({ outcome: "held", holder: null });
    expect(await other.look("z", waits)).toEqual({
      outcome: "queued",
      ticket: tickets[1],
      holder: null,
      lookInMs: null,
    });
    const second = await one.take("y", waits);
    expect(await other.look("z", waits)).toMatchObject({ outcome: "queued", holder: { fence: second.fence } });
    await one.store.release(second);
    await other.take("z", waits);
    expect(await one.store.check("a")).toMatchObject({ waiters: 0 });
  });

  test("says when to look: when the lease ends", async () => {
    const { world, one } = setUp();
    await one.take("x", { ttlMs: 1_000 });
    world.pass(300);
    expect(await one.look("y", waits)).toMatchObject({ lookInMs: 700 });
  });

  test("an entry that nobody repeats for 3 s no longer counts, and its ticket still has its place", async () => {
    const { world, one, other } = setUp();
    const grant = await one.take("x");
    const first = await one.queueUp("first");
    const second = await other.queueUp("second");
    world.pass(2_999);
    expect(await one.store.check("a")).toMatchObject({ waiters: 2 });
    await other.look("second", waits); // repeated
    await other.queueUp("third");
    world.pass(1);
    expect(await one.store.check("a")).toMatchObject({ waiters: 2 });
    await one.store.release(grant);
    // The first has not looked for too long: it no longer keeps the second waiting.
    const passed = await other.take("second", { ...waits, ticket: second });
    // Back again, it comes before the third.
    expect(await one.look("first", { ...waits, ticket: first })).toMatchObject({ outcome: "queued", ticket: first });
    await other.store.release(passed);
    expect(await other.look("third", waits)).toMatchObject({ outcome: "queued" });
    await one.take("first", { ...waits, ticket: first });
  });

  test("whoever comes back with the lowest ticket is granted a free key at once", async () => {
    const { world, one, other } = setUp();
    const grant = await one.take("x");
    const ticket = await one.queueUp("first");
    world.pass(3_000);
    await other.queueUp("second");
    await one.store.release(grant);
    await one.take("first", { ...waits, ticket });
  });

  test("whoever gives up has left, and the next one no longer waits for it", async () => {
    const { one, other } = setUp();
    const grant = await one.take("x");
    await one.queueUp("first");
    await other.queueUp("second");
    expect(await one.store.abandon({ key: "a", token: "first", wasHeld: false })).toEqual({
      outcome: "gone",
      reason: null,
    });
    await Promise.resolve();
    expect(other.wakes).toEqual([]); // the key is held
    await one.queueUp("third");
    await one.store.release(grant);
    await Promise.resolve();
    expect(other.wakes).toEqual(["a"]);
    await other.store.abandon({ key: "a", token: "second", wasHeld: false });
    await Promise.resolve();
    expect(one.wakes).toEqual(["a"]);
    await one.take("third", waits);
  });

  test("the next waiter is woken by a release, an abandon and a force, once the call has returned", async () => {
    const { world, one, other } = setUp();
    const frees: ((grant: Awaited<ReturnType<Process["take"]>>) => unknown)[] = [
      (grant) => one.store.release(grant),
      (grant) => one.store.abandon({ ...grant, wasHeld: true }),
      () => one.store.forceRelease({ key: "a", fence: null, immediate: true }),
      () => world.leases.lose("a", "taken"),
    ];
    for (const [number, free] of frees.entries()) {
      const grant = await one.take(`x${number}`);
      await other.queueUp(`y${number}`);
      void free(grant);
      expect(other.wakes.length).toBe(number);
      await Promise.resolve();
      expect(other.wakes.length).toBe(number + 1);
      await other.store.release(await other.take(`y${number}`, waits));
    }
    expect(one.wakes).toEqual([]);
  });
});

describe("the entries", () => {
  const process: MemoryProcess = { ...nobody };
  const asking = (token: string) => ({ token, mode: "exclusive", capacity: null, weight: 1 }) as const;
  const drain = (queue: MemoryQueue, nowMs: number): string[] => {
    const served: string[] = [];
    for (let head = queue.head(nowMs); head !== undefined; head = queue.head(nowMs)) {
      served.push(head.token);
      if (!queue.leave(head.token)) throw new Error(`${head.token} is at the head and has no entry`);
    }
    return served;
  };

  test("one that was swept and comes back is not taken for the one that has left", () => {
    const queue = new MemoryQueue();
    queue.keep(asking("a"), 1n, process, 0);
    queue.keep(asking("b"), 2n, process, 1_000);
    expect(queue.dropExpired(3_000)).toBe(1);
    queue.keep(asking("a"), 1n, process, 3_000);
    expect([queue.count(3_000), drain(queue, 3_000), queue.isEmpty]).toEqual([2, ["a", "b"], true]);
  });

  test("stay in the order of their tickets while many come and go", () => {
    const queue = new MemoryQueue();
    queue.keep(asking("head"), 0n, process, 0);
    const staying: string[] = [];
    for (let number = 1; number <= 2_000; number += 1) {
      // every second one comes with a ticket from before
      const ticket = BigInt(number % 2 === 0 ? 10_000 - number : 20_000 + number);
      queue.keep(asking(`${ticket}`), ticket, process, 0);
      if (number % 97 === 0) staying.push(`${ticket}`);
      else queue.leave(`${ticket}`);
    }
    staying.sort((a, b) => Number(a) - Number(b));
    expect(drain(queue, 0)).toEqual(["head", ...staying]);
  });
});
