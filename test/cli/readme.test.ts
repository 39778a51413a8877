// The calls of the command line that the README shows, in its order, by a shell. `watch` needs a terminal: test/cli/watch.test.ts.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { cliEnvironment } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { blocksOf, readPage } from "../support/pages.js";

const cli = cliProgram();
const folder = await mkdtemp(join(tmpdir(), "leasehold-readme-cli-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

test("its calls of the command line do what they say", async () => {
  const calls = blocksOf(readPage("README.md"))
    .filter(({ language }) => language === "sh")
    .flatMap(
      ({ text }) => text.split("\n").filter((line) => line.startsWith("npx leasehold ") && !/ (watch|ui)\b/.test(line)), // they go on
    );
  expect(calls.length).toBeGreaterThanOrEqual(5);
  const database = await createDatabase();
  const role = await createRole(database);
  await script("npx", `shift; exec "${process.execPath}" "${cli}" "$@"`);
  await script("report.sh", 'echo "reported under $LEASEHOLD_KEY"');
  const env = cliEnvironment({ url: database.url, env: { PATH: `${folder}:${process.env.PATH}` } });
  const type = async (line: string) => (await promisify(execFile)("bash", ["-c", line], { cwd: folder, env })).stdout;

  const answers = new Map<string, string>();
  await using holder = openLocker(database, { owner: "api-1" });
  for (const call of calls) {
    if (call.includes(" release ")) await holder.acquire("report:daily");
    answers.set(call.split(" ")[2] ?? "", await type(call.replace("--grant-to app", `--grant-to ${role.name}`)));
  }

  expect(answers.get("migrate")).toMatch(/migrated|up to date/);
  expect(answers.get("run")).toBe("reported under report:daily\n");
  expect(answers.get("release")).toContain("report:daily");
  expect(answers.get("doctor")).toContain("0 problems");
  expectLeft(database, "sessions");
});

async function script(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(folder, name), 0o755);
}
