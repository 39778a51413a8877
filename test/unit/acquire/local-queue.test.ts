import { expect, test } from "vitest";
import { LocalQueue } from "../../../src/acquire/local-queue.js";
import type { Wait } from "../../../src/acquire/wait.js";
import { seeded } from "../../support/random.js";

/** As much of a wait as a queue knows. */
function makeWait(): Wait {
  return { ticket: null, before: null, behind: null } as unknown as Wait;
}

const all = (queue: LocalQueue) => (queue.first === null ? [] : [queue.first, ...queue.behindFirst()]);
const placeOf = (wait: Wait) => wait.ticket?.place as bigint;

test("is in the order of its places, whatever the order in which they come, change and go", () => {
  const random = seeded("local queue");
  const queue = new LocalQueue();
  const waits = Array.from({ length: 20 }, makeWait);
  const arriving = new Set<Wait>();
  const placed = new Set<Wait>();
  let lastPlace = 0n;
  for (let step = 0; step < 5_000; step += 1) {
    const wait = waits[Math.floor(random() * waits.length)] as Wait;
    const isIn = arriving.has(wait) || placed.has(wait);
    if (!isIn) {
      wait.ticket = null;
      queue.join(wait);
      arriving.add(wait);
    } else if (random() < 0.5) {
      lastPlace += 1n;
      // Mostly at the end, sometimes before others: its answer was overtaken.
      const place =
        random() < 0.7 ? lastPlace * 1_000n : BigInt(Math.floor(random() * Number(lastPlace) * 1_000)) * 2n + 1n;
      queue.place(wait, { place, proof: 0n });
      arriving.delete(wait);
      placed.add(wait);
    } else {
      queue.leave(wait);
      arriving.delete(wait);
      placed.delete(wait);
      wait.ticket = null;
    }
    const expected = [...placed].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    expect(all(queue)).toEqual(expected);
    expect(queue.followers).toBe(Math.max(0, placed.size - 1));
    expect(queue.isEmpty).toBe(placed.size + arriving.size === 0);
    expect(queue.next).toBe(expected[0] ?? [...arriving][0] ?? null);
  }
});

test("the same place again changes nothing", () => {
  const queue = new LocalQueue();
  const [first, second] = [makeWait(), makeWait()];
  for (const wait of [first, second]) queue.join(wait);
  queue.place(first, { place: 1n, proof: 0n });
  queue.place(second, { place: 2n, proof: 0n });
  queue.place(first, { place: 1n, proof: 0n });
  expect(queue.followers).toBe(1);
  expect(all(queue)).toEqual([first, second]);
});
