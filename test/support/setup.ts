// Loaded before each test file: every test ends with a look for what it left, and for errors that nobody caught.
import "./watch.js";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { databases } from "./database.js";
import { type Baseline, baseline, cleanUp, findLeaks } from "./leaks.js";
import { takeUncaught, watchThisProcess } from "./uncaught.js";

watchThisProcess();

/** How long a leak may take to go: closing takes its time on a busy machine. */
const patienceMs = 20_000;

let beforeFile: Baseline;

// before a test can replace it with a fake one
const { setImmediate: nextImmediate } = globalThis;
const nextTurn = () => new Promise((resolve) => nextImmediate(resolve));

beforeAll(() => {
  beforeFile = baseline();
});

// Of the hooks that run after a test this is the last, for it is the first that is registered.
beforeEach(({ onTestFinished }) => {
  const before = baseline();
  onTestFinished(async ({ task }) => {
    const hasFailed = task.result?.state === "fail";
    const leaks = hasFailed ? [] : await findLeaks(before, patienceMs);
    await cleanUp(before, hasFailed || leaks.length > 0);
    // What a connection does after its end, it does within a turn or two.
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    const uncaught = takeUncaught();
    if (uncaught.length > 0) throw new Error(`nobody caught:\n${uncaught.join("\n")}`);
    if (leaks.length > 0) throw new Error(`the test left behind:\n${leaks.join("\n")}`);
  }, 180_000);
});

afterAll(async () => {
  const leaks = await findLeaks(beforeFile, patienceMs);
  await cleanUp(beforeFile);
  for (const database of databases()) await database.drop();
  await nextTurn();
  const uncaught = takeUncaught();
  if (uncaught.length > 0) throw new Error(`nobody caught, after the last test:\n${uncaught.join("\n")}`);
  if (leaks.length > 0) throw new Error(`the test file left behind:\n${leaks.join("\n")}`);
}, 180_000);
