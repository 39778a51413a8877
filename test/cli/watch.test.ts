import { expect, test } from "vitest";
import { CliProcess, findPython } from "../support/cli.js";
import { startCluster } from "../support/cluster.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { Terminal } from "../support/terminal.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const database = await createDatabase();
const python = findPython();

const ALTERNATE = "\u001b[?1049h\u001b[?25l";
const RESTORED = "\u001b[?25h\u001b[?1049l";

function watch(size: { columns: number; rows: number }, args: readonly string[] = [], env = {}): Terminal {
  return new Terminal([process.execPath, cli, "watch", "--every", "100ms", ...args], {
    url: database.url,
    env,
    ...size,
  });
}

/** The keys on the screen, from top to bottom. */
function keys(terminal: Terminal): string[] {
  return terminal.screen.flatMap((line) => /^(key:\S+)/.exec(line)?.[1] ?? []);
}

test.skipIf(!python)("it shows what is held, and how that changes; q leaves the terminal as it was", async () => {
  await using locker = openLocker(database, { owner: "tester" });
  await using terminal = watch({ columns: 100, rows: 12 });
  await terminal.shows("No key is held.");
  expect(terminal.output.startsWith(ALTERNATE)).toBe(true);
  const lock = await locker.acquire("key:a");
  const screen = await terminal.shows("key:a");
  expect(screen).toHaveLength(12);
  expect(screen[0]).toContain(database.name);
  expect(screen[1]).toContain("[1 leases 1]");
  expect(screen[2]).toMatch(/^KEY +STATE +FENCE +OWNER +ALIVE +REMAINING +HELD +WAITERS$/);
  expect(screen[3]).toMatch(/^key:a +held +\d+ +tester +yes/);
  expect(screen.at(-1)).toContain("q quit");
  await locker.forceRelease("key:a");
  await terminal.shows(/^key:a +revoked/m);
  await lock.release().catch(() => undefined);
  await terminal.shows("No key is held.");
  terminal.press("q");
  expect(await terminal.exit).toBe(0);
  expect(terminal.output.endsWith(RESTORED)).toBe(true);
});

test.skipIf(!python)("s sorts, r reverses, / filters, Esc drops the filter, 2 and Tab change the list", async () => {
  await using locker = openLocker(database, { owner: "tester" });
  await locker.acquire("key:a", { ttlMs: 100_000 });
  await locker.acquire("key:b", { ttlMs: 900_000 });
  await locker.acquire("key:c", { ttlMs: 500_000, owner: "someone" });
  await using terminal = watch({ columns: 100, rows: 12 });
  await terminal.shows("key:c");
  expect(keys(terminal)).toEqual(["key:a", "key:b", "key:c"]);
  terminal.press("ss");
  await terminal.shows("sort: remaining");
  expect(keys(terminal)).toEqual(["key:b", "key:c", "key:a"]);
  terminal.press("r");
  await terminal.shows("(reversed)");
  expect(keys(terminal)).toEqual(["key:a", "key:c", "key:b"]);
  terminal.press("/somex\u007f");
  await terminal.shows("/some_");
  expect(keys(terminal)).toEqual(["key:c"]);
  terminal.press("\r");
  await terminal.shows("filter: some");
  terminal.press("\u001b");
  await until("all keys", () => keys(terminal).length === 3);
  terminal.press("2");
  await terminal.shows("Nobody waits.");
  terminal.press("\t");
  const sessions = await terminal.shows("[3 sessions 1]");
  expect(sessions[3]).toContain("tester");
  terminal.press("q");
  expect(await terminal.exit).toBe(0);
});

test.skipIf(!python)("it scrolls, and fits itself to the size of the terminal", async () => {
  await using locker = openLocker(database, { owner: "tester" });
  for (let i = 10; i < 40; i += 1) await locker.acquire(`key:${i}`);
  await using terminal = watch({ columns: 100, rows: 14 });
  await terminal.shows("1-10 of 30");
  terminal.press("\u001b[B\u001b[B");
  await terminal.shows("3-12 of 30");
  expect(keys(terminal)[0]).toBe("key:12");
  terminal.press("\u001b[6~\u001b[6~\u001b[6~");
  await terminal.shows("21-30 of 30");
  terminal.resize(60, 34);
  const tall = await until("the new size", () => (keys(terminal).length === 30 ? terminal.screen : null));
  expect(tall).toHaveLength(34);
  expect(Math.max(...tall.map((line) => line.length))).toBeLessThanOrEqual(60);
  terminal.resize(30, 5);
  const small = await until("a small screen", () => (terminal.screen.length === 5 ? terminal.screen : null));
  expect(Math.max(...small.map((line) => line.length))).toBeLessThanOrEqual(30);
  terminal.press("q");
  expect(await terminal.exit).toBe(0);
});

test.skipIf(!python)("Ctrl-C ends it; so do signals, with the terminal as it was", async () => {
  await using byKey = watch({ columns: 80, rows: 10 });
  await byKey.shows("No key is held.");
  byKey.press("\u0003");
  expect(await byKey.exit).toBe(0);
  expect(byKey.output.endsWith(RESTORED)).toBe(true);

  await using bySignal = watch({ columns: 80, rows: 10 });
  await bySignal.shows("No key is held.");
  process.kill(bySignal.pid, "SIGTERM");
  expect(await bySignal.exit).toBe(143);
  expect(bySignal.output.endsWith(RESTORED)).toBe(true);
});

test.skipIf(!python)("Ctrl-Z gives the terminal to the shell, and fg takes it back", async () => {
  const command = `${process.execPath} ${cli} watch --every 100ms`;
  await using shell = new Terminal(["bash", "--norc", "-i"], { url: database.url });
  await until("the prompt", () => /[#$] $/.test(shell.output));
  shell.press(`${command}\n`);
  await shell.shows("No key is held.");
  shell.press("\u001a");
  await until("the shell has the terminal", () => shell.output.includes(`${RESTORED}`) && /Stopped/.test(shell.output));
  const before = shell.output.length;
  shell.press("fg\n");
  await until(
    "it draws again",
    () => shell.output.slice(before).includes(ALTERNATE) && shell.output.slice(before).includes("No key"),
  );
  shell.press("q");
  await until("the shell again", () => shell.output.slice(before).includes(RESTORED));
  shell.press("exit 3\n");
  expect(await shell.exit).toBe(3);
});

test.skipIf(!python)("NO_COLOR and TERM=dumb: no colours", async () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for colours
  const colours = /\u001b\[\d+m/;
  await using coloured = watch({ columns: 80, rows: 10 });
  await coloured.shows("No key is held.");
  expect(coloured.output).toMatch(colours);
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
    await using terminal = watch({ columns: 80, rows: 10 }, [], env);
    await terminal.shows("No key is held.");
    expect(terminal.output).not.toMatch(colours);
    terminal.press("q");
    await terminal.exit;
  }
  coloured.press("q");
  await coloured.exit;
});

test.skipIf(!python)("while the server is away it says so, and goes on when it is back", async () => {
  await using cluster = await startCluster();
  await using made = await createDatabase({ on: cluster });
  expectLeft(made, "leases", "sessions");
  await using terminal = new Terminal([process.execPath, cli, "watch", "--every", "100ms"], {
    url: made.url,
    columns: 120,
  });
  await terminal.shows("No key is held.");
  await cluster.stop("fast");
  await terminal.shows(/Postgres/);
  await cluster.start();
  await until("it has connected again", () => !/Postgres/.test(terminal.screen[0] ?? "Postgres"));
  terminal.press("q");
  expect(await terminal.exit).toBe(0);
});

test.skipIf(!python)("while the server does not answer, q quits at once all the same", async () => {
  await using proxy = await startProxy(database.url);
  await using terminal = new Terminal([process.execPath, cli, "watch", "--every", "100ms"], {
    url: proxy.url(database.url),
  });
  await terminal.shows("No key is held.");
  const query = proxy.holdStatement(/active_leases/);
  await query.arrived;
  terminal.press("q");
  // the statement is never answered: what waited for it would not end
  expect(await terminal.exit).toBe(0);
  expect(terminal.output.endsWith(RESTORED)).toBe(true);
});

test.skipIf(!python)("an error ends it with the terminal as it was, and is told below", async () => {
  await using made = await createDatabase();
  await using terminal = new Terminal([process.execPath, cli, "watch", "--every", "100ms"], { url: made.url });
  await terminal.shows("No key is held.");
  await made.sql`drop view leasehold.waiting`;
  expect(await terminal.exit).toBe(1);
  expect(terminal.output.slice(terminal.output.lastIndexOf(RESTORED))).toMatch(/leasehold watch: .+\r\n$/);
});

test("where the output is no terminal it prints the lists again and again, without escapes", async () => {
  await using locker = openLocker(database, { owner: "tester" });
  await locker.acquire("key:a");
  await using child = new CliProcess(cli, ["watch", "--every", "100ms"], { url: database.url });
  await until("three times", () => child.stdout.split("key:a").length > 3);
  child.kill("SIGTERM");
  const { stdout } = await child.result;
  expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT.*Z\nKEY +STATE +FENCE/);
  expect(stdout).not.toContain("\u001b");
});

test("with --json each look is a line of JSON", async () => {
  await using locker = openLocker(database, { owner: "tester" });
  await locker.acquire("key:a");
  await using child = new CliProcess(cli, ["watch", "--json", "--every", "100ms"], { url: database.url });
  await until("three lines", () => child.stdout.split("\n").length > 3);
  child.kill("SIGTERM");
  const lines = (await child.result).stdout.split("\n").slice(0, 3);
  for (const line of lines) {
    expect(JSON.parse(line)).toMatchObject({
      leases: [{ key: "key:a" }],
      waiting: [],
      sessions: [{ owner: "tester" }],
      trouble: null,
    });
  }
});
