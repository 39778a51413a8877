import { expect, test } from "vitest";
import { causeFaults, type Targets } from "../../soak/faults.js";
import { randomFrom } from "../../support/random.js";

/** Runs until so many were caused, a millisecond apart. */
async function faults(count: number, { seed = 1, fails = "" } = {}): Promise<{ noted: string[]; done: string[] }> {
  const [noted, done]: string[][] = [[], []];
  const over = new AbortController();
  const does = (what: string) => async () => {
    if (what === fails) throw new Error("the server is away");
    done?.push(what);
  };
  const targets: Targets = {
    ...{ terminate: does("terminate"), replace: does("kill"), freeze: does("freeze") },
    ...{ cut: does("cut"), silence: does("silence"), restart: does("restart") },
  };
  const note = (what: string) => {
    noted?.push(what);
    if (noted?.length === count) over.abort();
  };
  await causeFaults(targets, { durationMs: 1_000_000, everyMs: 1 }, randomFrom(seed), note, over.signal);
  return { noted: noted ?? [], done: done ?? [] };
}

const sorted = (all: readonly string[]) => all.toSorted();

test("each kind comes as often in every part of a run", async () => {
  const { done } = await faults(21);
  const round = ["cut", "freeze", "kill", "silence", "terminate", "terminate", "terminate"];
  for (const from of [0, 7, 14]) expect(sorted(done.slice(from, from + 7))).toEqual(round);
});

test("a seed repeats them, and another one does not", async () => {
  const [first, again, other] = await Promise.all([faults(14), faults(14), faults(14, { seed: 2 })]);
  expect(again.done).toEqual(first.done);
  expect(other.done).not.toEqual(first.done);
});

test("one that cannot be caused, as the server is away, ends nothing", async () => {
  const { noted, done } = await faults(20, { fails: "terminate" });
  expect(noted).toContain("terminate missed");
  expect(done.length).toBeGreaterThan(5);
});

test("the server is stopped at its moments of the run, and not after the end", async () => {
  const noted: string[] = [];
  const restarts: number[] = [];
  const since = performance.now();
  const over = new AbortController();
  const never = async () => {};
  const restart = async () => {
    restarts.push(performance.now() - since);
    if (restarts.length === 2) over.abort();
  };
  const targets: Targets = { terminate: never, replace: never, freeze: never, cut: never, silence: never, restart };
  await causeFaults(
    targets,
    { durationMs: 500, everyMs: 10_000 },
    randomFrom(1),
    (what) => noted.push(what),
    over.signal,
  );
  expect(noted).toEqual(["restart", "restart"]);
  const [first = 0, second = 0] = restarts;
  expect(first).toBeGreaterThan(50);
  expect(second).toBeGreaterThan(300);
});

test("a server of somebody else is never stopped", async () => {
  const over = new AbortController();
  const noted: string[] = [];
  const never = async () => {};
  const targets: Targets = {
    terminate: never,
    replace: never,
    freeze: never,
    cut: never,
    silence: never,
    restart: null,
  };
  const note = (what: string) => {
    noted.push(what);
    if (noted.length === 14) over.abort();
  };
  await causeFaults(targets, { durationMs: 1, everyMs: 1 }, randomFrom(1), note, over.signal);
  expect(noted).not.toContain("restart");
});
