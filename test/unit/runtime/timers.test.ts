// What shares one timer: Due, Deadlines, Activity, Background.
import { expect, test } from "vitest";
import { Activity } from "../../../src/runtime/activity.js";
import { Background } from "../../../src/runtime/background.js";
import { Due, sleep, startTimer, systemClock } from "../../../src/runtime/clock.js";
import { Deadlines, type Timed } from "../../../src/runtime/linked-list.js";
import { clock, settle } from "../manual-clock.js";
import { watch } from "../outcome.js";

test("Due fires at the earliest moment that was asked for, once, with one timer", async () => {
  const fired: number[] = [];
  const start = clock.monotonicMs;
  const due = new Due(systemClock, () => fired.push(clock.monotonicMs - start));
  for (const ms of [500, 200, 900, 200]) due.by(start + ms);
  expect(clock.timers).toBe(1);
  await clock.pass(1_000);
  expect(fired).toEqual([200]);
  due.by(start + 1_500);
  await clock.pass(500);
  expect(fired).toEqual([200, 1_500]);
});

test("Due for a moment that has passed fires at once, and one that was stopped does not fire", async () => {
  let fired = 0;
  const due = new Due(systemClock, () => {
    fired += 1;
  });
  due.by(clock.monotonicMs - 100);
  await clock.pass(0);
  expect(fired).toBe(1);
  due.by(clock.monotonicMs + 100);
  due.stop();
  await clock.pass(200);
  expect(fired).toBe(1);
  due.by(clock.monotonicMs + 100); // it can be used again
  await clock.pass(100);
  expect(fired).toBe(2);
});

test("Due that is asked for within its own call fires again", async () => {
  let left = 3;
  const due: Due = new Due(systemClock, () => {
    left -= 1;
    if (left > 0) due.by(clock.monotonicMs + 10);
  });
  due.by(clock.monotonicMs + 10);
  await clock.pass(100);
  expect(left).toBe(0);
});

test("Due does not keep the process alive", () => {
  const due = new Due(systemClock, () => undefined);
  due.by(clock.monotonicMs + 10);
  expect([clock.timers, clock.keepingAlive]).toEqual([1, 0]);
  due.stop();
});

class Item implements Timed<Item> {
  readonly beganAtMs: number = clock.monotonicMs;
  previous: Item | null = null;
  next: Item | null = null;
  timeouts = 0;
  onTimeout(): void {
    this.timeouts += 1;
  }
}

test("Deadlines time each item out in its turn, and never one that was dropped", async () => {
  const deadlines = new Deadlines<Item>(systemClock, 100);
  const items: Item[] = [];
  for (let n = 0; n < 5; n += 1) {
    const item = new Item();
    items.push(item);
    deadlines.add(item);
    await clock.pass(20);
  }
  expect(clock.timers).toBe(1);
  expect(deadlines.remove(items[1] as Item)).toBe(true);
  expect(deadlines.remove(items[1] as Item)).toBe(false);
  const timeouts = () => items.map((item) => item.timeouts);
  await clock.pass(0); // the first is 100 ms old
  expect(timeouts()).toEqual([1, 0, 0, 0, 0]);
  expect(deadlines.remove(items[0] as Item)).toBe(false);
  await clock.pass(39);
  expect(timeouts()).toEqual([1, 0, 0, 0, 0]);
  await clock.pass(1);
  expect(timeouts()).toEqual([1, 0, 1, 0, 0]);
  await clock.pass(1_000);
  expect(timeouts()).toEqual([1, 0, 1, 1, 1]);
  expect(deadlines.size).toBe(0);
});

test("Deadlines whose items were all dropped fire once for nothing, and not again", async () => {
  const deadlines = new Deadlines<Item>(systemClock, 100);
  for (let n = 0; n < 1_000; n += 1) {
    const item = new Item();
    deadlines.add(item);
    deadlines.remove(item);
    await clock.pass(1);
  }
  expect(clock.fired).toBeLessThanOrEqual(10);
  await clock.pass(100);
  expect(clock.timers).toBe(0);
});

test("an item that drops others in its timeout takes them out", async () => {
  const deadlines = new Deadlines<Item>(systemClock, 100);
  const [first, second] = [new Item(), new Item()];
  first.onTimeout = () => void deadlines.remove(second);
  deadlines.add(first);
  deadlines.add(second);
  await clock.pass(200);
  expect(second.timeouts).toBe(0);
});

test("Activity calls onIdle when nothing went on for long enough, and not while something does", async () => {
  let idle = 0;
  const activity = new Activity(systemClock, 100, () => {
    idle += 1;
  });
  activity.begin();
  await clock.pass(1_000);
  activity.begin();
  activity.end();
  await clock.pass(1_000);
  expect(idle).toBe(0);
  activity.end();
  await clock.pass(99);
  activity.begin();
  await clock.pass(50);
  activity.end();
  await clock.pass(99);
  expect(idle).toBe(0);
  await clock.pass(1);
  expect(idle).toBe(1);
  await clock.pass(1_000);
  expect([idle, clock.timers]).toEqual([1, 0]);
});

test("Activity keeps the process alive while a call of any locker is awaited, and for nothing else", () => {
  const [one, other] = [
    new Activity(systemClock, 100, () => undefined),
    new Activity(systemClock, 100, () => undefined),
  ];
  const background = new Background(systemClock, other);
  one.begin();
  background.begin();
  expect(clock.keepingAlive).toBe(0);
  one.beginCall();
  other.beginCall();
  background.beginCall();
  one.endCall();
  other.endCall();
  expect(clock.keepingAlive).toBe(1);
  background.endCall();
  expect(clock.keepingAlive).toBe(0);
  other.beginCall({ isUse: false });
  expect(clock.keepingAlive).toBe(1);
  other.endCall();
  expect(clock.keepingAlive).toBe(0);
  background.end();
  one.end();
  one.stop();
  other.stop();
});

test("a call ends the rest of an Activity; who only looks on does not", () => {
  let uses = 0;
  const activity = new Activity(
    systemClock,
    100,
    () => undefined,
    () => {
      uses += 1;
    },
  );
  activity.beginCall({ isUse: false });
  activity.endCall();
  activity.begin();
  activity.end();
  expect(uses).toBe(0);
  activity.beginCall();
  activity.beginCall();
  expect(uses).toBe(1);
  activity.endCall();
  activity.endCall();
  activity.stop();
});

test("Activity makes one timer for any number of calls, and none when it may not idle", async () => {
  const activity = new Activity(systemClock, 100, () => undefined);
  for (let n = 0; n < 1_000; n += 1) {
    activity.begin();
    activity.end();
  }
  expect([clock.timers, clock.keepingAlive]).toEqual([1, 0]);
  activity.stop();
  const never = new Activity(systemClock, Number.POSITIVE_INFINITY, () => undefined);
  never.begin();
  never.end();
  activity.begin();
  activity.end();
  expect(clock.timers).toBe(0);
});

test("Background settles when the last work is done, or when the time is up", async () => {
  const background = new Background(systemClock, new Activity(systemClock, Number.POSITIVE_INFINITY, () => undefined));
  let finish = (): void => undefined;
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  background.add(work);
  background.begin();
  const early = watch(background.settle(100));
  await clock.pass(100);
  expect(early.state).toBe("resolved");
  const late = watch(background.settle(100));
  background.end();
  await settle();
  expect(late.state).toBe("pending");
  finish();
  await settle();
  expect(late.state).toBe("resolved");
  expect(watch(background.settle(100)).state).toBe("pending");
  await settle();
  expect(clock.timers).toBe(0);
});

test("Background that is given more work while it settles waits for that, too", async () => {
  const background = new Background(systemClock, new Activity(systemClock, Number.POSITIVE_INFINITY, () => undefined));
  background.begin();
  const settled = watch(background.settle(1_000));
  background.end();
  background.begin();
  await settle();
  expect(settled.state).toBe("pending");
  background.end();
  await settle();
  expect(settled.state).toBe("resolved");
});

test("a timer of more than 2^31 ms is cut, and one of less than 0 fires at once", async () => {
  const fired: string[] = [];
  const long = startTimer(Number.POSITIVE_INFINITY, () => fired.push("long"));
  expect(clock.nextInMs).toBe(2_147_483_647);
  long.cancel();
  startTimer(-5, () => fired.push("past"));
  await clock.pass(0);
  expect(fired).toEqual(["past"]);
});

test("sleep ends at its time or by its signal, and leaves neither a timer nor a listener", async () => {
  const controller = new AbortController();
  const [plain, ended] = [watch(sleep(100)), watch(sleep(100, { signal: controller.signal }))];
  await clock.pass(50);
  controller.abort();
  await settle();
  expect([plain.state, ended.state]).toEqual(["pending", "resolved"]);
  await clock.pass(50);
  expect(plain.state).toBe("resolved");
  expect(watch(sleep(100, { signal: controller.signal })).state).toBe("pending");
  await settle();
  expect(clock.timers).toBe(0);
});
