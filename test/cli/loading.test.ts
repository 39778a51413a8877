// A command loads what it needs and no more: scripts start some of them every few seconds.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";

/** The files that it has loaded, by Node's own record. */
async function loadedBy(command: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-loaded-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { code } = await runCli(cliProgram(), [command, "--help"], { env: { NODE_V8_COVERAGE: folder } });
  expect(code).toBe(0);
  const [file = ""] = await readdir(folder);
  return await readFile(join(folder, file), "utf8");
}

test.each(["run", "release", "migrate", "sweep", "doctor"])(
  "%s does not load what measures text for tables",
  async (command) => {
    const loaded = await loadedBy(command);
    expect(loaded).toContain("/dist/cli/common.js");
    expect(loaded).not.toContain("string-width");
  },
);

test("ls loads it", async () => {
  expect(await loadedBy("ls")).toContain("string-width");
});
