import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CliProcess, type CliResult, cliEnvironment, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { isRunning } from "../support/processes.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const database = await createDatabase();
const folder = await mkdtemp(join(tmpdir(), "leasehold-run-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
let keys = 0;

/** A key of the test's own. */
function newKey(): string {
  keys += 1;
  return `run:${keys}`;
}

function run(args: readonly string[], input?: string): Promise<CliResult> {
  return runCli(cli, ["run", ...args], { url: database.url, ...(input === undefined ? {} : { input }) });
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): CliProcess {
  return new CliProcess(cli, ["run", ...args], { url: database.url, env });
}

async function holder(key: string): Promise<{ fence: string } | undefined> {
  const [row] = await database.sql`select fence::text from leasehold.active_leases where key = ${key}`;
  return row as { fence: string } | undefined;
}

test("the command holds the lock, knows its key and fence, and the lock is free when it has ended", async () => {
  const key = newKey();
  await using child = start([
    key,
    "--",
    "sh",
    "-c",
    'echo "$LEASEHOLD_KEY $LEASEHOLD_FENCE"; read -r line; echo "$line"',
  ]);
  await child.wrote("\n");
  const fence = (await holder(key))?.fence;
  child.write("over\n");
  expect(await child.result).toEqual({ code: 0, stdout: `${key} ${fence}\nover\n`, stderr: "" });
  expect(await holder(key)).toBeUndefined();
});

test("what comes in on standard input, goes out, and goes to standard error is the command's", async () => {
  const input = "a line\n".repeat(50_000);
  const result = await run([newKey(), "--", "sh", "-c", "cat; echo trouble >&2"], input);
  expect(result).toEqual({ code: 0, stdout: input, stderr: "trouble\n" });
});

test("the environment is passed on as it was, and the lock's token is not in it", async () => {
  const key = newKey();
  await using child = start([key, "--", "sh", "-c", "env; read -r line"], { OWN: "kept" });
  await child.wrote(/LEASEHOLD_FENCE=\d+\n/);
  const [row] = await database.sql`select token::text from leasehold.leases where key = ${key}`;
  child.endInput();
  const { stdout } = await child.result;
  expect(stdout).toContain("OWN=kept\n");
  expect(stdout).toContain(`DATABASE_URL=${database.url}\n`);
  expect(row?.token).toMatch(/^[0-9a-f-]{36}$/);
  expect(stdout).not.toContain(row?.token);
});

test.each([0, 1, 2, 42, 255])("exit code %d of the command is passed on", async (code) => {
  expect(await run([newKey(), "--", "sh", "-c", `exit ${code}`])).toEqual({ code, stdout: "", stderr: "" });
});

test.each([
  ["TERM", 143],
  ["KILL", 137],
  ["SEGV", 139],
])("a command that SIG%s ended gives exit code %d", async (signal, code) => {
  expect(await run([newKey(), "--", "sh", "-c", `ulimit -c 0; kill -${signal} $$`])).toMatchObject({ code });
});

// Node has no names for realtime signals, and takes what they end for a success. Linux has them, macOS has not.
test.skipIf(process.platform !== "linux").each([34, 37, 64])(
  "a command that realtime signal %d ended gives 128 + n",
  async (signal) => {
    const self = await run([newKey(), "--", "sh", "-c", `kill -${signal} $$; sleep 60`]);
    expect(self).toEqual({ code: 128 + signal, stdout: "", stderr: "" });
    const key = newKey();
    await using child = start([key, "--", "sh", "-c", "echo $$; exec sleep 60"]);
    const pid = Number.parseInt(await child.wrote("\n"), 10);
    execFileSync("kill", [`-${signal}`, String(pid)]); // Node cannot send it either
    expect(await child.result).toMatchObject({ code: 128 + signal, stderr: "" });
    expect(await holder(key)).toBeUndefined();
  },
);

test("a command that is not there gives 127, one that cannot be started 126, and the lock is free again", async () => {
  const key = newKey();
  const file = join(folder, "no-program");
  await writeFile(file, "text", { mode: 0o644 });
  expect(await run([key, "--", "no-such-command"])).toEqual({
    code: 127,
    stdout: "",
    stderr: "leasehold run: no-such-command: command not found\n",
  });
  expect(await run([key, "--", file])).toEqual({
    code: 126,
    stdout: "",
    stderr: `leasehold run: ${file}: cannot be started (EACCES)\n`,
  });
  for (const [program, reason] of [
    [join(file, "within"), "ENOTDIR"],
    ["x".repeat(5_000), "ENAMETOOLONG"],
    ["", "ERR_INVALID_ARG_VALUE"],
  ] as const) {
    const { code, stderr } = await run([key, "--", program]);
    expect(code).toBe(126);
    expect(stderr).toContain(`cannot be started (${reason})`);
  }
  expect(await holder(key)).toBeUndefined();
});

test("--no-wait and a --wait that has passed: 193, the holder is named, the command does not run", async () => {
  const key = newKey();
  await using locker = openLocker(database, { owner: "the test" });
  const lock = await locker.acquire(key);
  const touch = ["--", "touch", join(folder, "must-not-be")];
  const [noWait, wait, asJson] = await Promise.all([
    run([key, "--no-wait", ...touch]),
    run([key, "--wait", "2s", ...touch]),
    run([key, "--no-wait", "--json", ...touch]),
  ]);
  await lock.release();
  expect(noWait).toMatchObject({ code: 193, stdout: "" });
  expect(noWait.stderr).toBe(
    `leasehold run: Could not lock "${key}", held by "the test" (fence ${lock.fence}). Try again later, or wait in the queue: leave out --no-wait.\n`,
  );
  expect(wait).toMatchObject({ code: 193, stdout: "" });
  expect(wait.stderr).toMatch(/^leasehold run: Waited 2000 ms for .*, held by "the test"/);
  expect(asJson.code).toBe(193);
  expect(JSON.parse(asJson.stderr)).toMatchObject({ error: { code: "not-acquired", holder: { owner: "the test" } } });
  expect(existsSync(join(folder, "must-not-be"))).toBe(false);
});

test("--quiet: a skip says nothing; --conflict-exit-code: nor is it a failure. All other errors are told", async () => {
  const key = newKey();
  await using locker = openLocker(database);
  const lock = await locker.acquire(key);
  const skips = [
    ["--no-wait", "--quiet", "--conflict-exit-code", "0"],
    ["--no-wait", "-qE", "0"],
    ["--no-wait", "-q", "-j", "-E75"],
    ["--wait", "1s", "-q", "--conflict-exit-code=255"],
    ["--no-wait", "-q"],
  ];
  const results = await Promise.all(skips.map((options) => run([key, ...options, "--", "echo", "must not run"])));
  expect(results).toEqual([0, 0, 75, 255, 193].map((code) => ({ code, stdout: "", stderr: "" })));
  const told = await run([key, "--no-wait", "-E", "7", "--", "true"]);
  expect(told).toMatchObject({ code: 7, stderr: expect.stringContaining("Could not lock") });
  await lock.release();
  const others = await Promise.all([
    run([newKey(), "-q", "-E", "0", "--", "no-such-command"]),
    runCli(cli, ["run", "k", "-q", "-E", "0", "--", "true"], { url: "postgres://a@127.0.0.1:1/app" }),
    run([newKey(), "-q", "-E", "0", "--max-hold", "500ms", "--", "sleep", "60"]),
  ]);
  expect(others.map(({ code }) => code)).toEqual([127, 195, 194]);
  for (const { stderr } of others) expect(stderr).toMatch(/^leasehold run: ./);
});

test.each([
  [["--", "-key", "--"], "-key"],
  [["--", "--", "--"], "--"],
  [["-q", "--", "plain", "--"], "plain"],
])("a key may stand between two --, and begin with a dash: %j", async (before, key) => {
  const command = ["sh", "-c", 'echo "$LEASEHOLD_KEY $1"', "sh", "--"];
  expect(await run([...before, ...command])).toEqual({ code: 0, stdout: `${key} --\n`, stderr: "" });
});

test("without --wait it waits in the queue, and they are served in order", async () => {
  const key = newKey();
  await using locker = openLocker(database);
  const lock = await locker.acquire(key);
  const log = join(folder, "order");
  const children: CliProcess[] = [];
  for (const name of ["first", "second", "third"]) {
    children.push(start([key, "--owner", name, "--", "sh", "-c", `echo ${name} >> ${log}`]));
    await until(`${name} in the queue`, async () => {
      const [row] = await database.sql`select from leasehold.waiting where key = ${key} and owner = ${name}`;
      return row;
    });
  }
  await lock.release();
  for (const child of children) expect(await child.result).toMatchObject({ code: 0, stderr: "" });
  expect(await readFile(log, "utf8")).toBe("first\nsecond\nthird\n");
});

test("--min-hold keeps the key when the command ends at once", async () => {
  const key = newKey();
  expect(await run([key, "--min-hold", "1h", "--", "true"])).toMatchObject({ code: 0 });
  expect(await run([key, "--no-wait", "--", "true"])).toMatchObject({ code: 193 });
});

test("--ttl and --owner are those of the lease", async () => {
  const key = newKey();
  await using child = start([key, "--ttl", "1m30s", "--owner", "nightly", "--", "sh", "-c", "echo on; read -r line"]);
  await child.wrote("on");
  const rows =
    await database.sql`select owner, ttl = interval '90 s' as ttl from leasehold.active_leases where key = ${key}`;
  expect(rows).toEqual([{ owner: "nightly", ttl: true }]);
  child.endInput();
  await child.result;
});

test("--no-presence opens no session", async () => {
  const key = newKey();
  await using child = start([key, "--no-presence", "--", "sh", "-c", "echo on; cat"]);
  await child.wrote("on");
  expect(await database.sql`select session_id from leasehold.active_leases where key = ${key}`).toEqual([
    { session_id: null },
  ]);
  child.endInput();
  expect(await child.result).toMatchObject({ code: 0 });
});

test("no connection, a missing schema, a missing right and a wrong password: 195", async () => {
  await using empty = await createEmptyDatabase();
  const role = await createRole(database);
  const results = await Promise.all(
    ["postgres://a:sesame@127.0.0.1:1/app", empty.url, role.url, role.url.replace(/:[^:@]+@/, ":sesame@")].map((url) =>
      runCli(cli, ["run", "k", "--", "true"], { url }),
    ),
  );
  expect(results.map(({ code }) => code)).toEqual([195, 195, 195, 195]);
  const [away, notMigrated, notPermitted, wrongPassword] = results.map(({ stderr }) => stderr);
  expect(away).toContain("ECONNREFUSED 127.0.0.1:1");
  expect(notMigrated).toBe(
    "leasehold run: This database has no schema leasehold. Run leasehold migrate once, as a role that may create schemas.\n",
  );
  expect(notPermitted).toContain(`select leasehold.grant_usage('${role.name}');`);
  expect(wrongPassword).toContain("password authentication failed");
  for (const { stderr } of results) expect(stderr).not.toContain("sesame");
});

// What a lost lock ends: the command, and a grandchild that does not listen.
const family = (file: string) => `sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.1; done' & echo on; wait`;

test("on loss the whole process group is ended: SIGTERM, then SIGKILL after --grace; exit code 194", async () => {
  const key = newKey();
  const file = join(folder, "deaf");
  await using locker = openLocker(database);
  await using child = start([key, "--grace", "300ms", "--ttl", "2s", "--", "sh", "-c", family(file)]);
  await child.wrote("on");
  const deaf = Number(
    await until("the grandchild", () =>
      readFile(file, "utf8").then(
        (text) => text || null,
        () => null,
      ),
    ),
  );
  await locker.forceRelease(key, { immediate: true });
  const { code, stderr } = await child.result;
  expect(code).toBe(194);
  expect(stderr).toContain("leasehold run: Lost the lock on");
  await until("the grandchild is gone", () => !isRunning(deaf));
});

test("on loss a command that listens ends by itself, within the grace", async () => {
  const key = newKey();
  await using child = start([
    key,
    ...[
      "--max-hold",
      "500ms",
      "--grace",
      "1h",
      "--",
      "sh",
      "-c",
      "trap 'echo tidied; exit 3' TERM; echo on; while :; do sleep 0.1; done",
    ],
  ]);
  expect(await child.result).toMatchObject({
    code: 194,
    stdout: "on\ntidied\n",
    stderr: expect.stringContaining("--max-hold"),
  });
});

test("where nobody reads standard error any more, the command is ended all the same before the exit", async () => {
  const tidied = join(folder, "tidied");
  const script = `exec 2> /dev/null; trap 'sleep 0.5; echo tidied > ${tidied}; exit 0' TERM; while :; do sleep 0.1; done`;
  const command = [cli, "run", newKey(), "--max-hold", "1s", "--", "sh", "-c", script];
  const child = spawn(process.execPath, command, {
    env: cliEnvironment({ url: database.url }),
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  child.stderr.destroy();
  const [code] = await once(child, "exit");
  expect(code).toBe(194);
  expect(existsSync(tidied)).toBe(true);
});

test("a command that is stopped is ended as well when the lock is lost", async () => {
  await using child = start([
    newKey(),
    "--max-hold",
    "1s",
    "--grace",
    "1h",
    "--",
    "sh",
    "-c",
    "echo on; kill -STOP $$",
  ]);
  expect(await child.result).toMatchObject({ code: 194, stdout: "on\n" });
});

test("a lock that was lost without a word until the command ended is a lost one all the same", async () => {
  const key = newKey();
  await using locker = openLocker(database);
  await using child = start([key, "--ttl", "1h", "--", "sh", "-c", "echo on; cat"]);
  await child.wrote("on");
  await locker.forceRelease(key, { immediate: true }); // the next renewal, which would tell, is far away
  child.endInput();
  expect(await child.result).toMatchObject({ code: 194, stderr: expect.stringContaining("Lost the lock on") });
});

test("stopped itself, it loses the lock, and ends the command when it goes on", async () => {
  const key = newKey();
  await using child = start([key, "--ttl", "1s", "--", "sh", "-c", "echo on; while :; do sleep 0.05; done"]);
  await child.wrote("on");
  child.kill("SIGSTOP");
  await until("the lease has expired", async () => (await holder(key)) === undefined);
  child.kill("SIGCONT");
  expect(await child.result).toMatchObject({ code: 194, stdout: "on\n" });
});

test("while the connection is away the command goes on, and is ended when the TTL has ended", async () => {
  expectLeft(database, "leases", "sessions");
  await using proxy = await startProxy(database.url);
  const key = newKey();
  await using child = new CliProcess(
    cli,
    ["run", key, "--ttl", "3s", "--", "sh", "-c", "echo on; while :; do sleep 0.1; done"],
    {
      url: proxy.url(database.url),
    },
  );
  await child.wrote("on");
  await proxy.refuse(true);
  proxy.cutAll();
  expect(await child.result).toMatchObject({ code: 194, stderr: expect.stringContaining("TTL ran out") });
});

const listening = (signals: readonly string[]) =>
  `${signals.map((signal) => `trap 'echo ${signal}' ${signal}`).join("; ")}; echo on; while :; do sleep 0.05; done`;

test.each(["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])("SIG%s is passed on, once", async (signal) => {
  const script = `trap 'n=$((n + 1)); echo ${signal} $n' ${signal}; trap 'exit 5' ALRM; echo on; while :; do sleep 0.05; done`;
  await using child = start([newKey(), "--", "sh", "-c", script]);
  await child.wrote("on");
  child.kill(`SIG${signal}` as NodeJS.Signals);
  await child.wrote(`${signal} 1`);
  child.kill(`SIG${signal}` as NodeJS.Signals);
  await child.wrote(`${signal} 2`);
  child.kill("SIGKILL");
  expectLeft(database, "leases", "sessions");
  await child.result;
});

test("a signal goes to the whole group of the command", async () => {
  // the outer one must survive it from the start: what it traps is as usual in the shell that it starts, what it ignores would not be
  const script = `trap : USR1; sh -c "${listening(["USR1"]).replaceAll('"', '\\"')}" & wait; wait; read -r line`;
  await using child = start([newKey(), "--", "sh", "-c", script]);
  await child.wrote("on");
  child.kill("SIGUSR1");
  await child.wrote("USR1");
  child.kill("SIGTERM");
  expect(await child.result).toMatchObject({ code: 143 });
});

test("a command that ends by the signal that was passed on gives 128 + n, and lets go", async () => {
  const key = newKey();
  await using child = start([key, "--", "sh", "-c", "echo on; exec sleep 60"]);
  await child.wrote("on");
  child.kill("SIGTERM");
  expect(await child.result).toEqual({ code: 143, stdout: "on\n", stderr: "" });
  expect(await holder(key)).toBeUndefined();
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)(
  "%s while it waits ends the wait: exit code %d, and nobody waits in the queue any more",
  async (signal, code) => {
    const key = newKey();
    await using locker = openLocker(database);
    const lock = await locker.acquire(key);
    await using child = start([key, "--", "echo", "must not run"]);
    const isInLine = async () => (await database.sql`select from leasehold.waiting where key = ${key}`).length > 0;
    await until("it waits", isInLine);
    child.kill(signal);
    expect(await child.result).toEqual({ code, stdout: "", stderr: "" });
    expect(await isInLine()).toBe(false);
    await lock.release();
  },
);

test("what the command leaves in the background goes on, and does not keep the lock", async () => {
  const key = newKey();
  const file = join(folder, "background");
  expect(await run([key, "--", "sh", "-c", `sleep 60 > /dev/null 2>&1 & echo $! > ${file}`])).toMatchObject({
    code: 0,
  });
  const pid = Number(await readFile(file, "utf8"));
  expect(await holder(key)).toBeUndefined();
  expect(isRunning(pid)).toBe(true);
  process.kill(pid, "SIGKILL");
});

test("killed itself (SIGKILL), it does not leave the command to run on without a lock", async () => {
  expectLeft(database, "leases", "sessions");
  const script = `trap "" TERM; trap "echo heard" USR1; echo pid $$; while :; do sleep 0.05; done`;
  await using child = start([newKey(), "--grace", "1s", "--", "sh", "-c", script]);
  const [, orphan] = (await child.wrote(/^pid \d+\n/)).match(/pid (\d+)/) ?? [];
  // What passes a signal on has told its guardian whom to watch.
  child.kill("SIGUSR1");
  await child.wrote("heard");
  child.kill("SIGKILL");
  await until("the command is gone", () => !isRunning(Number(orphan)));
  await child.result;
});
