// The example of a store: by the tests that every store has to pass, and when its process ends.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, describe, expect, it, test } from "vitest";
import { LockProcess } from "../../examples/store/process-store.js";
import { createLocker, UnavailableError } from "../../src/index.js";
import { storeConformance } from "../../src/testing.js";
import { CliProcess } from "../support/cli.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
// Compiled once: a process that compiles it itself takes half a second to start.
const folder = await mkdtemp(join(tmpdir(), "leasehold-example-"));
const program = join(folder, "locks.mjs");
await build({ entryPoints: [join(root, "examples/store/locks.ts")], outfile: program, format: "esm" });
afterAll(() => rm(folder, { recursive: true, force: true }));
const start = (): LockProcess => new LockProcess(pathToFileURL(program));

let started: LockProcess | undefined;
storeConformance({
  describe,
  it,
  create: () => {
    started = start();
    return started.store;
  },
  destroy: () => started?.stop(),
});

describe("when its process ends", () => {
  test("what was asked may have happened, and what is asked from then on was not sent", async () => {
    const locks = start();
    await using locker = createLocker({ store: locks.store, requestTimeoutMs: 2_000 });
    await locker.withLock("a", () => undefined);
    const asked = locker.check("a");
    asked.catch(() => undefined);
    await locks.stop();
    const failure = await asked.catch((error: unknown) => error);
    // The answer may have been on its way already.
    if (failure !== null) expect(failure).toMatchObject({ code: "unavailable", outcome: "unknown" });
    await expect(locker.check("a")).rejects.toMatchObject({ code: "unavailable", outcome: "not-sent" });
    await expect(locker.tryAcquire("a")).rejects.toBeInstanceOf(UnavailableError);
  });
});

test("its program ends well", async () => {
  const { code, stdout, stderr } = await new CliProcess("--import=tsx", ["examples/store/main.ts"], {
    url: "",
    cwd: root,
  }).result;
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "ok: 40 jobs, one at a time\n", stderr: "" });
});

test.each(["locks.ts", "main.ts", "process-store.ts"])("%s imports what a user would", (name) => {
  const text = readFileSync(new URL(`../../examples/store/${name}`, import.meta.url), "utf8");
  const imported = [...text.matchAll(/ from "([^"]+)";$/gm)].map(([, from]) => from ?? "");
  expect(imported.filter((from) => !/^(node:\w+(\/\w+)?|leasehold(\/store)?|\.\/[\w-]+\.js)$/.test(from))).toEqual([]);
  expect(imported.some((from) => from.startsWith("leasehold"))).toBe(true);
});
