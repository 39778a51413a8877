// A short form of `npm run soak`: that it runs, that all of it happens, and that it ends clean. What it says of growth is tried in test/unit/soak.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isRunning } from "../support/processes.js";
import { chooseSeed } from "../support/random.js";
import { until } from "../support/until.js";
import type { Sample } from "./samples.js";
import { soak } from "./soak.js";
import { judge } from "./verdict.js";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

test("a run ends by itself, leaves nothing, and has measured everything", { timeout: 900_000 }, async () => {
  const run = await soak({
    ...{ minutes: 0.25, rate: 40, seed: chooseSeed("soak"), url: null, faultEveryMs: 3_000 },
    isEnough: (samples) => missing(samples).length === 0,
  });

  expect(judge(run).problems).toEqual([]);
  expect(missing(run.samples)).toEqual([]);
  // which faults there are else depends on how long each takes: test/unit/soak/faults.test.ts
  expect(run.faults.map(({ what }) => what)).toContain("restart");
});

/** What no sample has seen yet. */
function missing(samples: readonly Sample[]): string[] {
  const sum = (of: "done" | "grants") => samples.reduce((total, sample) => total + sample[of], 0);
  const clients = samples.flatMap((sample) => sample.clients);
  const servers = samples.flatMap(({ server }) => server ?? []);
  const tables = servers.flatMap((server) => server.tables);
  const seen = {
    acts: sum("done") > 50,
    grants: sum("grants") > 50,
    "both lasting processes": [1, 2].every((worker) => clients.some((client) => client.worker === worker)),
    heap: clients.some(({ heapMb }) => heapMb !== null && heapMb > 1),
    timers: clients.some(({ timers }) => timers > 0),
    listeners: clients.some(({ listeners }) => listeners > 0),
    cycles: samples.some(({ cycle }) => cycle !== null && cycle.p50 > 0),
    handovers: samples.some(({ handover }) => handover !== null && handover.p50 > 0),
    floors: samples.some(({ floor }) => floor !== null && floor.p50 > 0),
    connections: servers.some(({ connections }) => connections > 4),
    leases: servers.some(({ rows }) => rows.leases > 50),
    "memory of the server": process.platform !== "linux" || servers.some(({ privateMb }) => (privateMb ?? 0) > 5),
    "the size of leases": tables.some(({ table, tableKb }) => table === "leases" && tableKb > 0),
  };
  return Object.entries(seen).flatMap(([what, isSeen]) => (isSeen ? [] : [what]));
}

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
