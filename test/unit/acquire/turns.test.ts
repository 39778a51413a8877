import { expect, test } from "vitest";
import { Turns } from "../../../src/acquire/turns.js";
import { systemClock } from "../../../src/runtime/clock.js";
import { noAnswer } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { watch } from "../outcome.js";

interface Asked {
  readonly n: number;
  resolve(value: number): void;
  reject(error: unknown): void;
}

function open(most: number) {
  const turns = new Turns(systemClock, most, 1_000);
  const asked: Asked[] = [];
  const take = (n: number) =>
    watch(turns.take(() => new Promise<number>((resolve, reject) => asked.push({ n, resolve, reject }))));
  return { asked, take, waiting: () => asked.map(({ n }) => n) };
}

test("so many ask at once, and the others in their order, each when one is done", async () => {
  const { asked, take, waiting } = open(3);
  const calls = Array.from({ length: 100 }, (_, n) => take(n));
  await settle();
  expect(waiting()).toEqual([0, 1, 2]);
  for (let n = 0; n < 100; n += 1) {
    expect(asked.length).toBeLessThanOrEqual(3);
    const first = asked.shift();
    expect(first?.n).toBe(n);
    first?.resolve(n);
    await settle();
  }
  expect(calls.map(({ result }) => result)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  // All turns are free again.
  const more = [take(1), take(2), take(3)];
  await settle();
  expect(waiting()).toEqual([1, 2, 3]);
  for (const { n, resolve } of asked) resolve(n);
  await settle();
  expect(more.map(({ result }) => result)).toEqual([1, 2, 3]);
});

test("a request that fails passes its turn on", async () => {
  const { asked, take, waiting } = open(1);
  const [first, second] = [take(1), take(2)];
  await settle();
  asked.shift()?.reject(new TypeError("a fault"));
  await settle();
  expect(first?.state).toBe("rejected");
  expect(waiting()).toEqual([2]);
  asked.shift()?.resolve(2);
  await settle();
  expect(second?.result).toBe(2);
});

test("when nobody answers, those that have waited for as long are told so at once, and the others have their turn", async () => {
  const { asked, take, waiting } = open(1);
  const first = take(0);
  const old = [take(1), take(2)];
  await clock.pass(500);
  const young = take(3);
  await clock.pass(500);
  asked.shift()?.reject(noAnswer());
  await settle();
  expect(first.state).toBe("rejected");
  expect(old.map(({ error }) => error)).toMatchObject([{ outcome: "not-sent" }, { outcome: "not-sent" }]);
  expect(waiting()).toEqual([3]);
  asked.shift()?.resolve(3);
  await settle();
  expect(young.result).toBe(3);
});
