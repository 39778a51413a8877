import { expect, test } from "vitest";
import { LocalQueue } from "../../../src/acquire/local-queue.js";
import type { Wait } from "../../../src/acquire/wait.js";
import { seeded } from "../../support/random.js";

/** As much of a wait as a queue knows. */
function makeWait(): Wait {
  return { ticket: null, before: null, behind: null } as unknown as Wait;
}

const all = (queue: LocalQueue) => (queue.first === null ? [] : [queue.first, ...queue.behindFirst()]);
const numberOf = (wait: Wait) => wait.ticket?.number as bigint;

test("is in the order of its tickets, whatever the order in which they come, change and go", () => {
  const random = seeded("local queue");
  const queue = new LocalQueue();
  const waits = Array.from({ length: 20 }, makeWait);
  const arriving = new Set<Wait>();
  const inOrder = new Set<Wait>();
  let lastNumber = 0n;
  for (let step = 0; step < 5_000; step += 1) {
    const wait = waits[Math.floor(random() * waits.length)] as Wait;
    const isIn = arriving.has(wait) || inOrder.has(wait);
    if (!isIn) {
      wait.ticket = null;
      queue.join(wait);
      arriving.add(wait);
    } else if (random() < 0.5) {
      lastNumber += 1n;
      // Mostly at the end, sometimes before others: its answer was overtaken.
      const number =
        random() < 0.7 ? lastNumber * 1_000n : BigInt(Math.floor(random() * Number(lastNumber) * 1_000)) * 2n + 1n;
      queue.setTicket(wait, { number, proof: 0n });
      arriving.delete(wait);
      inOrder.add(wait);
    } else {
      queue.leave(wait);
      arriving.delete(wait);
      inOrder.delete(wait);
      wait.ticket = null;
    }
    const expected = [...inOrder].sort((a, b) => (numberOf(a) < numberOf(b) ? -1 : 1));
    expect(all(queue)).toEqual(expected);
    expect(queue.followers).toBe(Math.max(0, inOrder.size - 1));
    expect(queue.isEmpty).toBe(inOrder.size + arriving.size === 0);
    expect(queue.next).toBe(expected[0] ?? [...arriving][0] ?? null);
  }
});

test("the same ticket again changes nothing", () => {
  const queue = new LocalQueue();
  const [first, second] = [makeWait(), makeWait()];
  for (const wait of [first, second]) queue.join(wait);
  queue.setTicket(first, { number: 1n, proof: 0n });
  queue.setTicket(second, { number: 2n, proof: 0n });
  queue.setTicket(first, { number: 1n, proof: 0n });
  expect(queue.followers).toBe(1);
  expect(all(queue)).toEqual([first, second]);
});
