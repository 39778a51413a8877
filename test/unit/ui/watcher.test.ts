// When the database is looked at, and who is told what.
import { expect, onTestFinished, test, vi } from "vitest";
import { InvalidOptionError, NotPermittedError, UnavailableError } from "../../../src/errors/errors.js";
import { State } from "../../../src/ui/live/changes.js";
import { type Viewer, Watcher } from "../../../src/ui/live/watcher.js";
import type { StateMessage } from "../../../src/ui/protocol.js";
import type { Reading } from "../../../src/ui/reading/reading.js";
import { clock } from "../manual-clock.js";
import { leases, reading, waits } from "./rows.js";

class FakeReader {
  readonly asked: boolean[] = [];
  tookMs = 0;
  reply: () => Reading = () => reading();

  async read(withCounters: boolean): Promise<Reading> {
    this.asked.push(withCounters);
    if (this.tookMs > 0) clock.block(this.tookMs);
    return this.reply();
  }
}

class Seen implements Viewer {
  readonly token = "t";
  isReady = true;
  isOver = false;
  readonly told: { readonly event: string; readonly data: unknown }[] = [];

  send(event: "hello" | "state" | "trouble", data: string): void {
    this.told.push({ event, data: JSON.parse(data) });
  }

  end(): void {
    this.isOver = true;
  }

  get events(): string {
    return this.told.map(({ event }) => event).join(" ");
  }

  get last(): StateMessage {
    return this.told.at(-1)?.data as StateMessage;
  }
}

function open() {
  const reader = new FakeReader();
  const watcher = new Watcher({ reader, actsOf: (isAdmin, token) => (isAdmin ? JSON.stringify({ token }) : "null") });
  return { reader, watcher };
}

test("it looks once a second however many look, and not at all when nobody does", async () => {
  const { reader, watcher } = open();
  await clock.pass(60_000);
  expect(reader.asked).toHaveLength(0);
  const viewers = Array.from({ length: 50 }, () => new Seen());
  const stops = viewers.map((viewer) => watcher.add(viewer));
  await clock.pass(10_000);
  expect(reader.asked).toHaveLength(11);
  expect(watcher.looks).toBe(11);
  for (const viewer of viewers) expect(viewer.events).toBe(`hello${" state".repeat(11)}`);
  for (const stop of stops) stop();
  await clock.pass(60_000);
  expect(reader.asked).toHaveLength(11);
  expect(clock.timers).toBe(0);
  await watcher.close();
});

test("browsers that come and go make it look no more often", async () => {
  const { reader, watcher } = open();
  for (let n = 0; n < 40; n += 1) {
    const stop = watcher.add(new Seen());
    await clock.pass(50);
    stop();
    await clock.pass(50);
  }
  expect(reader.asked.length).toBeLessThanOrEqual(5); // in 4 s
  expect(reader.asked.length).toBeGreaterThanOrEqual(4);
  await watcher.close();
});

test("counters are asked for with the first look and every fifth; where a look takes long, there are fewer", async () => {
  const { reader, watcher } = open();
  watcher.add(new Seen());
  await clock.pass(10_000);
  expect(reader.asked.map((withCounters, index) => (withCounters ? index : null)).filter((n) => n !== null)).toEqual([
    0, 5, 10,
  ]);
  reader.tookMs = 4_000;
  reader.asked.length = 0;
  await clock.pass(40_000);
  expect(reader.asked.length).toBeLessThanOrEqual(6); // half of the time it rests
  expect(reader.asked.length).toBeGreaterThanOrEqual(4);
  await watcher.close();
});

test("the first state is whole, the others are what has changed", async () => {
  const { reader, watcher } = open();
  const viewer = new Seen();
  reader.reply = () =>
    reading({
      leases: leases({ key: "a", fence: "1" }, { key: "b", fence: "2" }),
      waits: waits({ key: "a", ticket: "1" }),
    });
  watcher.add(viewer);
  await clock.pass(0);
  expect(viewer.events).toBe("hello state");
  expect(viewer.told[0]?.data).toMatchObject({ database: "app", role: "monitoring", isStandby: false, acts: null });
  expect(viewer.last).toMatchObject({ isWhole: true, at: 5_000, points: [[5_000, 2, 1, 0]], events: [] });
  expect(viewer.last.changes.leases?.set.map(([id]) => id)).toEqual(["1 a", "2 b"]);

  reader.reply = () => reading({ leases: leases({ key: "a", fence: "1" }, { key: "c", fence: "3" }) }, { atMs: 6_000 });
  await clock.pass(1_000);
  expect(viewer.last.isWhole).toBe(false);
  expect(viewer.last.changes.leases?.set.map(([id]) => id)).toEqual(["3 c"]);
  expect(viewer.last.changes).toMatchObject({ leases: { gone: ["2 b"] }, waits: { set: [], gone: ["1 a"] } });
  expect(viewer.last.points).toEqual([[6_000, 2, 0, 0]]);
  expect(viewer.last.events.map(({ key, what }) => `${key} ${what}`)).toEqual(["c granted", "b ended"]);
  await clock.pass(1_000);
  expect(viewer.last).toMatchObject({ changes: {}, events: [] });

  // who comes later has it all, with the history
  const late = new Seen();
  watcher.add(late);
  expect(late.last).toMatchObject({ isWhole: true, points: [{}, {}, {}].map(() => expect.any(Array)) });
  expect(late.last.changes.leases?.set.map(([id]) => id)).toEqual(["1 a", "3 c"]);
  expect(late.last.events).toHaveLength(2);
  await watcher.close();
});

test("only what is held counts as held, whatever its key looks like", async () => {
  const { reader, watcher } = open();
  const states = ["held", "revoked", "cooling", "blocked", "expired", "orphaned"];
  const keys = ['a", "held', "\\", '\\"', '"held"'];
  reader.reply = () =>
    reading({
      leases: leases(...states.flatMap((state, s) => keys.map((key, k) => ({ key, state, fence: `${s}${k}` })))),
    });
  const viewer = new Seen();
  watcher.add(viewer);
  await clock.pass(0);
  expect(viewer.last.points).toEqual([[5_000, 2 * keys.length, 0, 0]]);
  await watcher.close();
});

test("a browser that does not keep up is left out, and then told the whole", async () => {
  const { reader, watcher } = open();
  const [slow, other] = [new Seen(), new Seen()];
  watcher.add(slow);
  watcher.add(other);
  await clock.pass(0);
  slow.isReady = false;
  reader.reply = () => reading({ leases: leases({ key: "a", fence: "1" }) });
  await clock.pass(3_000);
  expect(slow.events).toBe("hello state");
  expect(other.events).toBe("hello state state state state");
  slow.isReady = true;
  await clock.pass(1_000);
  expect(slow.events).toBe("hello state hello state");
  expect(slow.last.isWhole).toBe(true);
  expect(slow.last.changes.leases?.set).toHaveLength(1);
  await watcher.close();
});

test("when it cannot look it says why, and what helps; then all begins anew", async () => {
  const { reader, watcher } = open();
  const viewer = new Seen();
  watcher.add(viewer);
  await clock.pass(0);
  const fails = async (error: unknown): Promise<unknown> => {
    reader.reply = () => {
      throw error;
    };
    const { length } = viewer.told;
    while (viewer.told.length === length) await clock.pass(100);
    expect(viewer.told.at(-1)?.event).toBe("trouble");
    return viewer.told.at(-1)?.data;
  };
  expect(await fails(new UnavailableError({ message: "no connection" }))).toMatchObject({
    kind: "disconnected",
    statement: null,
  });
  const statement = "select leasehold.grant_monitoring('app');";
  const denied = new NotPermittedError({ statement, role: "app", cause: null });
  expect(await fails(denied)).toMatchObject({ kind: "no-rights", statement });
  expect(await fails(new Error("odd"))).toEqual({ kind: "other", message: "It cannot be read: odd", statement: null });
  expect(await fails(new InvalidOptionError({ option: "url", expected: "a URL", received: null }))).toMatchObject({
    kind: "other",
    message: expect.stringContaining("url"),
  });
  // who comes now is told at once
  const late = new Seen();
  watcher.add(late);
  expect(late.events).toBe("trouble");

  reader.reply = () => reading({ leases: leases({ key: "a", fence: "1" }) });
  const { length } = viewer.told;
  while (viewer.told.length === length) await clock.pass(100);
  expect(viewer.events).toMatch(/trouble hello state$/);
  expect(viewer.last).toMatchObject({ isWhole: true, events: [] }); // it is not known what has happened meanwhile
  expect(late.events).toBe("trouble hello state");
  expect(reader.asked.at(-1)).toBe(true);
  await watcher.close();
});

test("after failures it looks less and less often, up to every ten seconds; after a success as before", async () => {
  const { reader, watcher } = open();
  const slow = new Seen();
  slow.isReady = false;
  watcher.add(slow);
  reader.reply = () => {
    throw new UnavailableError({ message: "no connection" });
  };
  await clock.pass(0);
  const gaps: number[] = [];
  for (let lastMs = clock.monotonicMs; gaps.length < 7; ) {
    const { length } = reader.asked;
    while (reader.asked.length === length) await clock.pass(100);
    gaps.push(clock.monotonicMs - lastMs);
    lastMs = clock.monotonicMs;
  }
  expect(gaps).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  expect(slow.told).toEqual([]); // what it does not read is not heaped up
  reader.reply = () => reading();
  await clock.pass(10_000);
  const { length } = reader.asked;
  await clock.pass(5_000);
  expect(reader.asked.length - length).toBe(5);
  await watcher.close();
});

test("what may be done goes with the role's rights, when they change", async () => {
  const { reader, watcher } = open();
  const viewer = new Seen();
  reader.reply = () => reading({}, { isAdmin: true });
  watcher.add(viewer);
  await clock.pass(0);
  expect(viewer.told[0]?.data).toMatchObject({ acts: { token: "t" } });
  reader.reply = () => reading(); // not asked
  await clock.pass(1_000);
  expect(viewer.events).toBe("hello state state");
  reader.reply = () => reading({}, { isAdmin: false });
  await clock.pass(1_000);
  expect(viewer.events).toBe("hello state state hello state");
  expect(viewer.told.at(-2)?.data).toMatchObject({ acts: null });
  await watcher.close();
});

test("closed while it looks, it ends with that look", async () => {
  const { reader, watcher } = open();
  const viewer = new Seen();
  const stop = watcher.add(viewer);
  await clock.pass(0);
  await watcher.close();
  expect(viewer.isOver).toBe(true);
  stop();
  const late = new Seen();
  watcher.add(late);
  expect(late.isOver).toBe(true);
  await clock.pass(10_000);
  expect(reader.asked).toHaveLength(1);
  expect(clock.timers).toBe(0);
});

test("a browser that does not keep up while the greeting changes is told both later", async () => {
  const { reader, watcher } = open();
  const [slow, other] = [new Seen(), new Seen()];
  watcher.add(slow);
  watcher.add(other);
  await clock.pass(0);
  slow.isReady = false;
  reader.reply = () => reading({ leases: leases({ key: "a", fence: "1" }) }, { isAdmin: true });
  await clock.pass(1_000);
  slow.isReady = true;
  reader.reply = () => reading({ leases: leases({ key: "a", fence: "1" }) });
  await clock.pass(1_000);
  expect(slow.events).toBe("hello state hello state");
  expect(slow.told.at(-2)?.data).toMatchObject({ acts: { token: "t" } });
  expect(slow.last.changes.leases?.set.map(([id]) => id)).toEqual(["1 a"]);
  await watcher.close();
});

test("who comes long after a failure is not told of it", async () => {
  const { reader, watcher } = open();
  reader.reply = () => {
    throw new UnavailableError({ message: "no connection" });
  };
  const stop = watcher.add(new Seen());
  await clock.pass(0);
  stop();
  await clock.pass(3_600_000);
  reader.reply = () => reading();
  const late = new Seen();
  watcher.add(late);
  await clock.pass(0);
  expect(late.events).toBe("hello state");
  await watcher.close();
});

test("where rows are cut off, what only comes into view or leaves it has neither begun nor ended", async () => {
  const { reader, watcher } = open();
  const viewer = new Seen();
  const cut = new Set(["leases"] as const);
  const [a, b, c] = [
    { key: "a", fence: "3", acquiredAt: 5_500 },
    { key: "b", fence: "1" },
    { key: "c", fence: "2" },
  ];
  reader.reply = () => reading({ leases: leases(b, c) }, { cut });
  watcher.add(viewer);
  await clock.pass(0);
  reader.reply = () => reading({ leases: leases(a, b) }, { cut, atMs: 6_000 });
  await clock.pass(1_000);
  expect(viewer.last.events.map(({ key, what }) => `${key} ${what}`)).toEqual(["a granted"]);
  reader.reply = () => reading({ leases: leases(b, c) }, { cut, atMs: 7_000 });
  await clock.pass(1_000);
  expect(viewer.last.events.map(({ key, what }) => `${key} ${what}`)).not.toContain("c granted");
  await watcher.close();
});

test("the whole is written once, however many are told it at once", async () => {
  const { reader, watcher } = open();
  const whole = vi.spyOn(State.prototype, "whole");
  onTestFinished(() => whole.mockRestore());
  const viewers = Array.from({ length: 20 }, () => new Seen());
  for (const viewer of viewers) watcher.add(viewer);
  await clock.pass(0);
  expect(whole).toHaveBeenCalledTimes(1);
  watcher.add(new Seen());
  watcher.add(new Seen());
  expect(whole).toHaveBeenCalledTimes(1);
  reader.reply = () => reading({ leases: leases({ key: "a", fence: "1" }) });
  await clock.pass(1_000);
  expect(whole).toHaveBeenCalledTimes(1);
  const late = new Seen();
  watcher.add(late);
  expect(late.last.changes.leases?.set.map(([id]) => id)).toEqual(["1 a"]);
  expect(whole).toHaveBeenCalledTimes(2);
  await watcher.close();
});
