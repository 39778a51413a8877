// A short form of `npm run soak`: that it runs, that all of it happens, and that it ends clean. What it says of growth is tried in test/unit/soak.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isRunning } from "../support/processes.js";
import { chooseSeed } from "../support/random.js";
import { soak } from "./soak.js";
import { judge } from "./verdict.js";

test("a run with every fault ends by itself, leaves nothing, and has measured everything", {
  timeout: 300_000,
}, async () => {
  const run = await soak({ minutes: 0.4, rate: 40, seed: chooseSeed("soak"), url: null, faultEveryMs: 1_500 });

  const { problems, findings } = judge(run);
  expect(problems).toEqual([]);
  const kinds = new Set(run.faults.map(({ what }) => what));
  expect([...kinds]).toEqual(expect.arrayContaining(["terminate", "cut", "freeze", "kill", "silence", "restart"]));
  const measured = findings.filter(({ early, late }) => early !== null || late !== null).map(({ what }) => what);
  const expected = findings
    .map(({ what }) => what)
    .filter((what) => process.platform === "linux" || !/^server:/.test(what));
  expect(measured).toEqual(expect.arrayContaining(expected.filter((what) => !/server:|next in line/.test(what))));
  expect(run.samples.reduce((sum, { done }) => sum + done, 0)).toBeGreaterThan(100);
});

test("an interrupted run leaves no process and no server", async () => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const run = spawn(process.execPath, ["--import", "tsx", main, "--minutes", "5", "--seed", "1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  run.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const exit = once(run, "close");
  await expect.poll(() => /the load has begun: (.*)/.test(output)).toBe(true);
  const [, started = ""] = /the load has begun: processes (.*)/.exec(output) ?? [];
  const pids = started.split(", ").map(Number);
  expect(pids).toHaveLength(5);
  run.kill("SIGINT");

  expect(await exit).toEqual([130, null]);
  expect(output).toContain("interrupted");
  await expect.poll(() => pids.filter(isRunning)).toEqual([]);
});

test.each([
  [["--minutes", "none"], "--minutes is a number"],
  [["--draw", "--minutes", "1"], "--draw needs --minutes 10"],
])("%j is refused before anything is started", async (args, message) => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const run = spawn(process.execPath, ["--import", "tsx", main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  run.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  expect(await once(run, "close")).toEqual([2, null]);
  expect(errors).toContain(message);
  expect(errors).toContain("npm run soak -- [options]");
});
