// Loaded before each file of test/unit: the clock of the library is the manual one, and every test ends with a look for what it left.
import "../support/watch.js";
import { beforeEach } from "vitest";
import { takeUncaught, watchThisProcess } from "../support/uncaught.js";
import { openHandles } from "../support/watch.js";
import { clock, loadUnder, settle } from "./manual-clock.js";
import { pendingPromises } from "./outcome.js";

watchThisProcess();
await loadUnder(() => import("../../src/runtime/clock.js"));

beforeEach(({ onTestFinished }) => {
  clock.reset();
  const before = new Set(openHandles().keys());
  onTestFinished(async ({ task }) => {
    await settle();
    const left = [
      ...[...openHandles()].filter(([handle]) => !before.has(handle)).map(([, name]) => name()),
      ...(clock.timers === 0 ? [] : [`${clock.timers} timers of the manual clock, the next in ${clock.nextInMs} ms`]),
      ...(clock.intervals === 0 ? [] : [`${clock.intervals} intervals of the manual clock`]),
      ...pendingPromises(),
    ];
    const uncaught = takeUncaught();
    if (task.result?.state === "fail") return;
    if (uncaught.length > 0) throw new Error(`nobody caught:\n${uncaught.join("\n")}`);
    if (left.length > 0) throw new Error(`the test left behind:\n${left.join("\n")}`);
  });
});
