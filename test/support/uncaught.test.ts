import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

test("an error that nobody catches fails its test and the run, in this process and in those that tests start", async () => {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-uncaught-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const report = join(folder, "report.json");
  const args = ["run", "--config", "test/support/fixtures/uncaught.config.ts", "--reporter=json"];
  const program = join(root, "node_modules/vitest/vitest.mjs");
  const code = await new Promise((resolve) => {
    execFile(process.execPath, [program, ...args, `--outputFile=${report}`], { cwd: root }, (error) =>
      resolve(error?.code ?? 0),
    );
  });

  const { testResults }: Report = JSON.parse(await readFile(report, "utf8"));
  const found = testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ title, status, failureMessages }) => [title, status, failureMessages.join("\n")]),
  );
  const failed = expect.stringMatching(/nobody caught:[\s\S]*nobody catches this/);
  expect(found).toEqual([
    ["an exception", "failed", failed],
    ["a rejection", "failed", failed],
    ["a worker that throws", "failed", failed],
    ["a program that throws, where the test expects exit code 1", "failed", failed],
    ["a worker that ends by itself", "passed", ""],
  ]);
  expect(code).toBe(1);
});
