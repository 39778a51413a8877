// npm run check:libraries: lock.transaction and lock.guard over the libraries that have packages of their own in this folder, and
// the recipe for Nest. Installs those packages, compiles the tests against their types, and runs them.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { guard } from "../support/guardian.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));
const execute = promisify(execFile);

const folder = await mkdtemp(join(tmpdir(), "leasehold-libraries-"));
const guardian = guard('rm -rf "$1"', folder);
let passed = 0;
let failed = 0;

/** Runs a program of Node's, or npm. Says whether it succeeded, and shows what it wrote if not. */
async function run(what: string, program: string, args: readonly string[]): Promise<boolean> {
  const start = performance.now();
  const error = await execute(program, args, { cwd: root, maxBuffer: 1e8, timeout: 300_000 }).then(
    () => null,
    (reason: { message: string; stdout?: string; stderr?: string }) => reason,
  );
  console.log(`${error === null ? "ok  " : "FAIL"} ${what} (${Math.round(performance.now() - start)} ms)`);
  if (error !== null) console.log([error.message, error.stdout, error.stderr].filter(Boolean).join("\n"));
  return error === null;
}

async function check(what: string, program: string, args: readonly string[]): Promise<boolean> {
  const isDone = await run(what, program, args);
  if (isDone) passed += 1;
  else failed += 1;
  return isDone;
}

/** Each test counts. A file that could not run is one that failed. */
async function test(): Promise<void> {
  const report = join(folder, "report.json");
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const isDone = await run("tests", process.execPath, [
    vitest,
    "run",
    "--config=test/libraries/vitest.config.ts",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ]);
  const { stdout } = await execute(process.execPath, [join(root, "scripts/count-tests.js"), report]);
  const [passedTests = 0, failedTests = 0] = stdout.split(" ").map(Number);
  passed += passedTests;
  failed += isDone ? failedTests : Math.max(1, failedTests);
}

try {
  // Nothing here needs what an install script would do.
  const install = ["ci", "--prefix", here, "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
  if (await check("install", "npm", install)) {
    await check("types", process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", here]);
    await test();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
  guardian.release();
}

console.log(`libraries: ${passed} passed, ${failed} failed`);
// for .ci/run, which adds up
if (process.env.CHECK_COUNTS) await writeFile(process.env.CHECK_COUNTS, `${passed} ${failed}\n`);
process.exitCode = failed === 0 ? 0 : 1;
