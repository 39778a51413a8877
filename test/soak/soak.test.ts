// A short form of `npm run soak`: that it runs, that all of it happens, and that it ends clean. What it says of growth is tried in test/unit/soak.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isRunning } from "../support/processes.js";
import { chooseSeed } from "../support/random.js";
import { until } from "../support/until.js";
import { soak } from "./soak.js";
import { judge } from "./verdict.js";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

test("a run ends by itself, leaves nothing, and has measured everything", { timeout: 600_000 }, async () => {
  const run = await soak({ minutes: 0.25, rate: 40, seed: chooseSeed("soak"), url: null, faultEveryMs: 1_000 });

  expect(judge(run).problems).toEqual([]);
  // which faults there are else depends on how long each takes: test/unit/soak/faults.test.ts
  expect(run.faults.map(({ what }) => what)).toContain("restart");
  const { samples } = run;
  const sum = (of: "done" | "grants") => samples.reduce((total, sample) => total + sample[of], 0);
  expect(sum("done")).toBeGreaterThan(50);
  expect(sum("grants")).toBeGreaterThan(50);
  const clients = samples.flatMap((sample) => sample.clients);
  expect(new Set(clients.map(({ worker }) => worker))).toEqual(new Set([1, 2]));
  expect(clients.some(({ heapMb }) => (heapMb ?? 0) > 1)).toBe(true);
  expect(Math.max(...clients.map(({ timers }) => timers))).toBeGreaterThan(0);
  expect(Math.max(...clients.map(({ listeners }) => listeners))).toBeGreaterThan(0);
  expect(samples.some(({ cycle }) => (cycle?.p50 ?? 0) > 0)).toBe(true);
  expect(samples.some(({ floor }) => (floor?.p50 ?? 0) > 0)).toBe(true);
  const servers = samples.flatMap(({ server }) => server ?? []);
  expect(servers[0]?.tables.map(({ table }) => table)).toEqual(expect.arrayContaining(["leases", "shares", "waiters"]));
  expect(Math.max(...servers.map(({ connections }) => connections))).toBeGreaterThan(4);
  expect(Math.max(...servers.map(({ rows }) => rows.leases))).toBeGreaterThan(50);
  if (process.platform === "linux")
    expect(Math.max(...servers.map(({ privateMb }) => privateMb ?? 0))).toBeGreaterThan(5);
});

test("an interrupted run leaves no process and no server", { timeout: 600_000 }, async () => {
  const run = spawn(process.execPath, ["--import", "tsx", main, "--minutes", "30", "--seed", "1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  run.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const exit = once(run, "close");
  const [, started = ""] = await until(
    "the load has begun",
    () => /the load has begun: processes (.*)\n/.exec(output),
    {
      timeoutMs: 300_000,
    },
  ).finally(() => run.kill("SIGINT"));
  const pids = started.split(", ").map(Number);

  expect(await exit).toEqual([130, null]);
  expect(output).toContain("interrupted");
  expect(pids).toHaveLength(5);
  await until("all of them have ended", () => !pids.some(isRunning));
});

test.each([
  [["--minutes", "none"], "--minutes is a number"],
  [["--draw", "--minutes", "1"], "--draw needs --minutes 10"],
])("%j is refused before anything is started", async (args, message) => {
  const run = spawn(process.execPath, ["--import", "tsx", main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  run.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  expect(await once(run, "close")).toEqual([2, null]);
  expect(errors).toContain(message);
  expect(errors).toContain("npm run soak -- [options]");
});
