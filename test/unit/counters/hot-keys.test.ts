// Space-Saving's bounds, against exact counts: no count is too high by more than n / 100, none is too low, and whatever had more
// than n / 100 is there.
import { describe, expect, test } from "vitest";
import { HotKeys } from "../../../src/observe/counters/hot-keys.js";
import { seeded } from "../../support/random.js";

/** The exact counts, and what the sketch under test was told. */
class Both {
  readonly exact = new Map<string, number>();
  readonly hot = new HotKeys();

  contend(key: string): void {
    this.exact.set(key, (this.exact.get(key) ?? 0) + 1);
    this.hot.contend(key);
  }

  add(other: Both): void {
    for (const [key, count] of other.exact) this.exact.set(key, (this.exact.get(key) ?? 0) + count);
    this.hot.add(other.hot);
  }

  expectBounds(): void {
    const total = [...this.exact.values()].reduce((sum, count) => sum + count, 0);
    const told = this.hot.snapshot();
    expect(told.length).toBe(Math.min(100, this.exact.size));
    for (const { key, contended, contendedAtMost } of told) {
      const exact = this.exact.get(key) ?? 0;
      expect(contended, key).toBeLessThanOrEqual(exact);
      expect(contendedAtMost, key).toBeGreaterThanOrEqual(exact);
      expect(contendedAtMost - contended, key).toBeLessThanOrEqual(total / 100);
    }
    const keys = new Set(told.map(({ key }) => key));
    for (const [key, count] of this.exact) {
      if (count > total / 100) expect(keys, `${key}, which had ${count} of ${total}`).toContain(key);
    }
  }
}

/** The first ranks of Zipf's law come up most; `skew` says by how much. */
function zipf(random: () => number, keys: number, skew: number): () => string {
  const sums: number[] = [];
  for (let rank = 1, sum = 0; rank <= keys; rank += 1) {
    sum += rank ** -skew;
    sums.push(sum);
  }
  const total = sums.at(-1) ?? 0;
  return () => {
    const wanted = random() * total;
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return `key:${low}`;
  };
}

test("a hundred keys and less are counted exactly, the hottest first", () => {
  const both = new Both();
  for (let key = 0; key < 100; key += 1) {
    for (let times = 0; times <= key; times += 1) both.contend(`key:${key}`);
  }
  const told = both.hot.snapshot();
  expect(told).toHaveLength(100);
  expect(told.map(({ key }) => key)).toEqual(Array.from({ length: 100 }, (_, rank) => `key:${99 - rank}`));
  for (const { key, contended, contendedAtMost } of told) {
    expect([contended, contendedAtMost]).toEqual([both.exact.get(key), both.exact.get(key)]);
  }
});

test("of a million keys that come once each, a hundred are kept, and none is said to be hot", () => {
  const hot = new HotKeys();
  for (let key = 0; key < 1_000_000; key += 1) hot.contend(`key:${key}`);
  expect(hot.size).toBe(100);
  const told = hot.snapshot();
  expect(told).toHaveLength(100);
  for (const { contended, contendedAtMost } of told) {
    expect(contended).toBe(1);
    expect(contendedAtMost).toBeLessThanOrEqual(10_000);
  }
});

describe.each([0, 0.6, 1, 1.4])("keys by Zipf's law with a skew of %d", (skew) => {
  test("each count is within its bounds, and whatever is hot is there", () => {
    const both = new Both();
    const next = zipf(seeded(`zipf ${skew}`), 20_000, skew);
    for (let event = 0; event < 200_000; event += 1) both.contend(next());
    both.expectBounds();
  });

  test("and so it is when sketches of many times and processes are added up", () => {
    const random = seeded(`zipf ${skew}, added up`);
    const next = zipf(random, 5_000, skew);
    const sum = new Both();
    for (let part = 0; part < 60; part += 1) {
      const one = new Both();
      for (let event = Math.floor(random() * 3_000); event > 0; event -= 1) one.contend(next());
      sum.add(one);
      // a sum goes on counting
      for (let event = Math.floor(random() * 500); event > 0; event -= 1) sum.contend(next());
    }
    sum.expectBounds();
  });
});

test("the ten hottest keys of a skewed load are the first ten, in their order", () => {
  const both = new Both();
  const next = zipf(seeded("the ten hottest"), 100_000, 1.2);
  for (let event = 0; event < 300_000; event += 1) both.contend(next());
  const exact = [...both.exact].sort(([, a], [, b]) => b - a).map(([key]) => key);
  const told = both.hot.snapshot().map(({ key }) => key);
  expect(told.slice(0, 10)).toEqual(exact.slice(0, 10));
});

test("grants and their waits are counted for keys that have a place, and begin anew with the place", () => {
  const hot = new HotKeys(2);
  hot.acquire("a", 5);
  hot.contend("a");
  hot.acquire("a", 7);
  hot.contend("b");
  hot.contend("b");
  hot.acquire("b", 11);
  hot.contend("c");
  hot.acquire("c", 13);
  hot.acquire("c", 13);
  expect(hot.snapshot()).toEqual([
    { key: "b", contended: 2, contendedAtMost: 2, acquired: 1, waitedMs: 11 },
    { key: "c", contended: 1, contendedAtMost: 2, acquired: 2, waitedMs: 26 },
  ]);
});
