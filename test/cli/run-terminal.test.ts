import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { findPython } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { isRunning } from "../support/processes.js";
import { Terminal } from "../support/terminal.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const database = await createDatabase();
const python = findPython();
const folder = await mkdtemp(join(tmpdir(), "leasehold-run-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

function start(args: readonly string[]): Terminal {
  return new Terminal([process.execPath, cli, "run", ...args], { url: database.url });
}

// Not a shell's traps: one that is pending swallows a second signal of its kind.
const listener = `
  for (const name of ["SIGINT", "SIGQUIT", "SIGUSR1"]) process.on(name, () => console.log("heard " + name));
  process.stdin.on("data", () => process.exit(7));
  console.log("on");`;

test.skipIf(!python)("Ctrl-C and Ctrl-\\ reach the command once, and only what it does about them counts", async () => {
  await using terminal = start(["a", "--", process.execPath, "-e", listener]);
  await terminal.wrote("on");
  const heard = () => terminal.output.match(/SIG[A-Z0-9]+/g) ?? [];
  for (const [index, key] of ["\u0003", "\u001c", "\u0003"].entries()) {
    terminal.press(key);
    await until("the command heard it", () => heard().length > 2 * index);
    // What is passed on comes in order: behind a second one of the key's, if there were one.
    process.kill(terminal.pid, "SIGUSR1");
    await until("the command heard that", () => heard().filter((name) => name === "SIGUSR1").length > index);
  }
  expect(heard()).toEqual(["SIGINT", "SIGUSR1", "SIGQUIT", "SIGUSR1", "SIGINT", "SIGUSR1"]);
  terminal.press("end\n");
  expect(await terminal.exit).toBe(7);
});

test.skipIf(!python)("Ctrl-C ends a command that does not catch it: 130, and the lock is free", async () => {
  await using terminal = start(["b", "--", "sh", "-c", "echo on; exec sleep 60"]);
  await terminal.wrote("on");
  terminal.press("\u0003");
  expect(await terminal.exit).toBe(130);
  expect(await database.sql`select key from leasehold.active_leases`).toEqual([]);
});

test.skipIf(!python)("Ctrl-C while it waits in the queue ends the wait", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("c");
  await using terminal = start(["c", "--", "echo", "must not run"]);
  const isInLine = async () => (await database.sql`select from leasehold.waiting where key = 'c'`).length > 0;
  await until("it waits", isInLine);
  terminal.press("\u0003");
  expect(await terminal.exit).toBe(130);
  expect(terminal.output).not.toContain("must not run");
  expect(await isInLine()).toBe(false);
  await lock.release();
});

test.skipIf(!python)(
  "the terminal is the command's: it reads keys, opens /dev/tty, and is told of a new size",
  async () => {
    const script =
      "trap 'stty size' WINCH; exec 3</dev/tty; echo on; read -r a <&3; echo got $a; read -r b; echo and $b";
    await using terminal = start(["d", "--", "bash", "-c", script]);
    await terminal.wrote("on");
    terminal.resize(90, 33);
    terminal.press("one\n");
    await terminal.wrote("got one");
    await terminal.wrote("33 90");
    terminal.press("two\n");
    await terminal.wrote("and two");
    expect(await terminal.exit).toBe(0);
  },
);

test.skipIf(!python)(
  "Ctrl-Z suspends both; if the lock has expired when they go on, the command is ended",
  async () => {
    await using shell = new Terminal(["bash", "--norc", "-i"], { url: database.url });
    await until("the prompt", () => /[#$] $/.test(shell.output));
    shell.press(`${process.execPath} ${cli} run h --ttl 2s -- sh -c 'echo o""n; while :; do sleep 0.05; done'\n`);
    await until("it runs", () => /^on\r$/m.test(shell.output));
    shell.press("\u001a");
    await until("the shell has the terminal", () => shell.output.includes("Stopped"));
    await until(
      "the lease has expired",
      async () => (await database.sql`select from leasehold.active_leases`).length === 0,
    );
    shell.press('fg; echo "it ended with $?"\n');
    await shell.wrote("Lost the lock on");
    await shell.wrote("it ended with 194");
    shell.press("exit\n");
    await shell.exit;
  },
);

test.skipIf(!python)("SIGTERM is passed on to the command", async () => {
  await using terminal = start([
    "e",
    "--",
    "sh",
    "-c",
    "trap 'echo told; exit 4' TERM; echo on; while :; do sleep 0.05; done",
  ]);
  await terminal.wrote("on");
  process.kill(terminal.pid, "SIGTERM");
  await terminal.wrote("told");
  expect(await terminal.exit).toBe(4);
});

test.skipIf(!python)(
  "on loss the command and what it started are ended, and whoever shares the terminal is not",
  async () => {
    const [deafFile, strangerFile] = [join(folder, "deaf"), join(folder, "stranger")];
    // As in a script: one process group for the script, a stranger in it, and the command under the lock.
    const family = `sh -c 'trap "" TERM HUP; echo $$ > ${deafFile}; while :; do sleep 0.1; done' & echo on; wait`;
    const script = `sleep 60 & echo $! > ${strangerFile}; "$@"; code=$?; kill $! && echo stranger lived; exit $code`;
    const command = [process.execPath, cli, "run", "f", "--grace", "300ms", "--ttl", "2s", "--", "sh", "-c", family];
    await using terminal = new Terminal(["sh", "-c", script, "sh", ...command], { url: database.url });
    await terminal.wrote("on");
    const deaf = Number(
      await until("the grandchild", () =>
        readFile(deafFile, "utf8").then(
          (text) => text || null,
          () => null,
        ),
      ),
    );
    onTestFinished(() => {
      if (isRunning(deaf)) process.kill(deaf, "SIGKILL");
    });
    await using locker = openLocker(database);
    await locker.forceRelease("f", { immediate: true });
    await until("the grandchild is gone", () => !isRunning(deaf));
    expect(await terminal.exit).toBe(194);
    expect(terminal.output).toContain("Lost the lock on");
    expect(terminal.output).toContain("stranger lived");
  },
);

test.skipIf(!python)("when the terminal goes away the command is told, and the lock is free", async () => {
  expectLeft(database, "sessions");
  const file = join(folder, "hung-up");
  const script = `trap 'echo told > ${file}; exit 0' HUP; echo on; while :; do sleep 0.05; done`;
  await using terminal = start(["g", "--", "sh", "-c", script]);
  await terminal.wrote("on");
  await terminal.hangUp();
  await until("the command was told", () => readFile(file, "utf8").catch(() => null));
  await until("the lock is free", async () => (await database.sql`select from leasehold.active_leases`).length === 0);
});
