// Every example of every command, typed into a shell as it stands, against a real database.
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { allCommands } from "../../src/cli/commands.js";
import { cliEnvironment } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const database = await createDatabase();
const role = await createRole(database);
const folder = await mkdtemp(join(tmpdir(), "leasehold-examples-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
await Promise.all(
  ["bin", ".zfunc", ".config/fish/completions"].map((name) => mkdir(join(folder, name), { recursive: true })),
);
await program("bin/leasehold", `exec "${process.execPath}" "${cli}" "$@"`);
await program("report.sh", 'echo "reported under $LEASEHOLD_KEY"');
await program("deploy.sh", 'echo "deployed $1"');

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(folder, name), 0o755);
}

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function typeIn(line: string): Promise<Result> {
  const env = { PATH: `${join(folder, "bin")}:${process.env.PATH}`, HOME: folder, KEY: "-any key" };
  return new Promise((resolve) => {
    execFile(
      "bash",
      ["--norc", "-o", "pipefail", "-c", line],
      { cwd: folder, env: cliEnvironment({ url: database.url, env }), encoding: "utf8" },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

/** What the examples name is there: keys that are held, and one that somebody waits for. */
async function openScene(): Promise<AsyncDisposable & { readonly fence: bigint }> {
  const holder = openLocker(database, { owner: "api-1", ttlMs: 600_000 });
  const waiter = openLocker(database, { owner: "api-2", waitMs: Number.POSITIVE_INFINITY });
  const { fence } = await holder.acquire("order:42");
  for (const key of ["-key", "tenant:7:import"]) await holder.acquire(key);
  const giveUp = new AbortController();
  const wait = waiter.acquire("order:42", { signal: giveUp.signal }).catch(() => undefined);
  await until("somebody waits", async () => (await database.sql`select from leasehold.waiting`).length > 0);
  const close = async () => {
    giveUp.abort();
    await wait;
    await Promise.all([holder.close(), waiter.close()]);
  };
  return { fence, [Symbol.asyncDispose]: close };
}

/** Ends it, as Ctrl-C does, when it has printed its address. The port of the example may be somebody's. */
function untilAddress(_: string, _port: string | undefined, rest: string): string {
  return `coproc leasehold ui --port 0${rest}; ui=$COPROC_PID; read -r line <&"\${COPROC[0]}"; echo "$line"; kill -INT $ui; wait $ui`;
}

const commands = await allCommands();
const examples = commands.flatMap(({ name, examples }) => examples.map(({ text, call }) => ({ name, text, call })));

test("every command has one, and each is a sentence without its end and one line", () => {
  for (const { name, examples } of commands) expect(examples.length, name).toBeGreaterThan(0);
  for (const { name, text, call } of examples) {
    expect(text).toMatch(/^[A-Z].*[^.:]$/);
    expect(call).toContain(`leasehold ${name}`);
    expect(call).not.toContain("\n");
  }
});

test.each(examples)("$call", async ({ name, call }) => {
  await using scene = name === "run" ? null : await openScene();
  const line = call
    .replace("--grant-to app", `--grant-to ${role.name}`)
    .replace(/--fence \d+/, `--fence ${scene?.fence}`)
    .replace(/^leasehold watch$/, "leasehold watch | head -n 1") // it goes on until somebody stops it
    .replace(/^leasehold ui( --port 0)?(.*)$/, untilAddress); // so does this one
  const { code, stdout, stderr } = await typeIn(line);
  expect({ code, stderr: stderr.replace(/^(Keys that match|\d+ not shown|Open it in a browser).*\n/, "") }).toEqual({
    code: 0,
    stderr: "",
  });
  if (!/>|source/.test(call)) expect(stdout).not.toBe("");
});
