// The command as it is typed, where Debian's packages are here. Elsewhere only what it says without them.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { isRunning } from "../support/processes.js";
import { until } from "../support/until.js";
import { processesIn } from "./folder.js";
import { findPrograms } from "./programs.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
});

/** As `npm run cluster` does: from the sources, which it compiles by itself. */
function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, ["--import", "tsx", "test/cluster/main.ts", ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const seen = { text: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      seen.text += text;
    });
  }
  const ended = once(child, "close").then(([status]) => {
    running.delete(child);
    return status as number;
  });
  return { child, seen, ended };
}

function findMissing(): string | null {
  try {
    findPrograms();
    return null;
  } catch (error) {
    console.warn(`\n!!! a real cluster is NOT started: ${error instanceof Error ? error.message : error}\n`);
    return String(error);
  }
}

test("what is wrong is said before anything is started", async () => {
  const unknown = start(["--only", "fire"]);
  expect(await unknown.ended).toBe(2);
  expect(unknown.seen.text).toMatch(/^--only does not know "fire"; it knows kill, /);
  const help = start(["--help"]);
  expect(await help.ended).toBe(0);
  expect(help.seen.text).toMatch(/freeze-patroni +Patroni alone is frozen/);
});

test.skipIf(findMissing() !== null)(
  "Ctrl-C ends every process of a cluster that stands, and removes its folder",
  async () => {
    const temporary = await mkdtemp(join(tmpdir(), "leasehold-cluster-test-"));
    try {
      await chmod(temporary, 0o755); // for the user that the servers run as
      const run = start(["--async", "--only", "haproxy"], { TMPDIR: temporary });
      const pids = await until("etcd, Patroni and Postgres run", () => {
        if (run.child.exitCode !== null) throw new Error(`it has ended:\n${run.seen.text}`);
        const found = processesIn(temporary);
        return found.length > 10 ? found : null;
      });
      run.child.kill("SIGINT");
      const status = await run.ended;

      expect(status).toBe(130);
      expect(pids.filter(isRunning)).toEqual([]);
      // what was compiled goes with the shell that waits for the end of the process; tsx has a folder of its own
      const left = async () => (await readdir(temporary)).filter((name) => !name.startsWith("tsx-"));
      await until("nothing is left", async () => (await left()).length === 0);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  },
);
