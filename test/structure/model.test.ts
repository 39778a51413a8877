// `npm run model` as a program: what is missing is named, a result that differs ends it with 1, and nothing is left of an interrupted run.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/until.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const hasSpin = isThere("spin") && isThere("gcc");

function isThere(program: string): boolean {
  try {
    execFileSync("which", [program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

interface Run {
  readonly code: number | null;
  readonly output: string;
}

/** A run with a folder of its own for what is temporary. */
function start(args: readonly string[], path = process.env.PATH) {
  const temporary = mkdtempSync(join(tmpdir(), "model-test-"));
  onTestFinished(() => rmSync(temporary, { recursive: true, force: true }));
  const child = spawn(process.execPath, ["--import", "tsx", "scripts/model.ts", ...args], {
    cwd: root,
    env: { ...process.env, PATH: path, TMPDIR: temporary },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += String(data)));
  const ended = new Promise<Run>((resolve) => child.on("close", (code) => resolve({ code, output })));
  /** What it builds in. tsx keeps a folder of its own there. */
  const left = () => readdirSync(temporary).filter((name) => name.startsWith("leasehold-model-"));
  return { child, ended, left, temporary };
}

function rowsOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "model-rows-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "rows.txt"), text);
  return join(folder, "rows.txt");
}

test("without Spin and gcc it says which packages bring them, and fails", async () => {
  const { ended, left } = start(["--quick"], "/nowhere");
  const { code, output } = await ended;
  expect(output).toContain("apt-get install -y --no-install-recommends spin gcc libc6-dev");
  expect(code).toBe(1);
  expect(left()).toEqual([]);
});

test.skipIf(!hasSpin)("a result that differs is named, and the exit code is 1", async () => {
  const rows = rowsOf(
    "G first short R_SKIP | none | -DR_SKIP\nG first short full | first |\nG first short right | none |\n",
  );
  const { ended, left } = start(["--rows", rows]);
  const { code, output } = await ended;
  expect(output).toContain("G R_SKIP: expected no violation, found violated: first");
  expect(output).toContain("G full: expected violated: first, found no violation");
  expect(output).toContain("1 of 3 rows are as expected");
  expect(code).toBe(1);
  expect(left()).toEqual([]);
});

/** What runs is read from /proc. */
const canLook = process.platform === "linux";

test.skipIf(!hasSpin || !canLook)("an interrupted run leaves neither a process nor a folder", async () => {
  const { child, ended, left, temporary } = start(["B", "full-served"]);
  await until("it searches", () => Promise.resolve(isSearching(temporary)));
  child.kill("SIGINT");
  expect((await ended).code).toBe(130);
  expect(left()).toEqual([]);
  await until("it has ended", () => Promise.resolve(!isSearching(temporary)));
});

/** Whether a process runs a program that was built there. */
function isSearching(folder: string): boolean {
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readlinkSync(`/proc/${pid}/exe`).startsWith(folder);
    } catch {
      return false; // it has just ended
    }
  });
}
