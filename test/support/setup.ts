// Loaded before each test file: every test ends with a look for what it left.
import "./watch.js";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { databases } from "./database.js";
import { type Baseline, baseline, cleanUp, findLeaks } from "./leaks.js";

/** How long a leak may take to go: closing takes its time on a busy machine. */
const patienceMs = 20_000;

let beforeFile: Baseline;

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
    if (leaks.length > 0) throw new Error(`the test left behind:\n${leaks.join("\n")}`);
  }, 180_000);
});

afterAll(async () => {
  const leaks = await findLeaks(beforeFile, patienceMs);
  await cleanUp(beforeFile);
  for (const database of databases()) await database.drop();
  if (leaks.length > 0) throw new Error(`the test file left behind:\n${leaks.join("\n")}`);
}, 180_000);
