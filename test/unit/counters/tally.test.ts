import { expect, test } from "vitest";
import { Tally } from "../../../src/observe/counters/tally.js";

const groups = (tally: Tally) => [tally.plain, tally.lost, tally.takenOver, tally.prefixes.of("a").counts];

/** Each counter at a number of its own. */
function counted(): Tally {
  const tally = new Tally();
  let next = 1;
  for (const counts of groups(tally)) {
    for (const name of Object.keys(counts)) Object.assign(counts, { [name]: next++ });
  }
  return tally;
}

test("begins at zero", () => {
  const numbers = groups(new Tally()).flatMap((counts) => Object.values(counts));
  expect(numbers.length).toBeGreaterThan(20);
  expect(new Set(numbers)).toEqual(new Set([0]));
});

test("two of them add up, counter by counter, and the one that is added stays as it is", () => {
  const sum = counted();
  const other = counted();
  sum.add(other);
  expect(groups(other)).toEqual(groups(counted()));
  groups(sum).forEach((counts, index) => {
    const once = Object.entries<number>({ ...groups(counted())[index] });
    expect(counts).toEqual(Object.fromEntries(once.map(([name, count]) => [name, 2 * count])));
  });
});

test("a snapshot does not change with what is counted afterwards", () => {
  const tally = counted();
  const { acquired, lost, prefixes } = tally.snapshot();
  tally.add(counted());
  expect(tally.snapshot()).toMatchObject({ acquired: 2 * acquired, lost: { expired: 2 * lost.expired } });
  expect(tally.snapshot().prefixes[0]?.acquired).toBe(2 * (prefixes[0]?.acquired ?? 0));
});
