// What a cluster leaves behind: nothing, in whatever way it ends.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { isRunning } from "../support/processes.js";
import { until } from "../support/until.js";
import { ClusterFolder, processesIn, signalAll } from "./folder.js";
import type { Started } from "./folder-worker.js";

test("all that runs in a folder ends with it: what others have started, what is frozen, and nothing beside it", async () => {
  await using beside = await ClusterFolder.make();
  const stays = beside.start("sleep", ["600"], beside.path, "log").pid ?? 0;
  const folder = await ClusterFolder.make();
  const inner = folder.folder("node");
  // a shell with a child in a session of its own, as Postgres makes them
  folder.start("sh", ["-c", "setsid sleep 600 & sleep 600"], inner, "log");
  await until("all three run", () => processesIn(folder.path).length === 3);
  const pids = processesIn(folder.path);
  signalAll(pids, "SIGSTOP");

  await folder.dispose();

  expect(pids.filter(isRunning)).toEqual([]);
  expect(existsSync(folder.path)).toBe(false);
  expect(isRunning(stays)).toBe(true);
});

test("a folder alone is not the folders below it", async () => {
  await using folder = await ClusterFolder.make();
  const inner = folder.folder("data");
  const outerPid = folder.start("sleep", ["600"], folder.path, "log").pid;
  folder.start("sleep", ["600"], inner, "log");
  await until("both run", () => processesIn(folder.path).length === 2);

  expect(processesIn(folder.path, { below: false })).toEqual([outerPid]);
});

test("when the command itself is killed, all goes as well", async () => {
  const worker = await startWorker("test/cluster/folder-worker.ts");
  const { path, pids } = await worker.request<Started>("start");
  expect(pids.filter(isRunning)).toHaveLength(2);

  await worker.kill();

  await until("nothing runs, and nothing is left", () => !pids.some(isRunning) && !existsSync(path));
  expect(existsSync(dirname(path))).toBe(true);
});
