// Several databases on the command line: listed together, one at a time, or the one that a key belongs to.
import { expect, onTestFinished, test } from "vitest";
import { createLocker, type Locker } from "../../src/index.js";
import { Router } from "../../src/instances/router.js";
import { askCli, CliProcess, type CliResult, callCli, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const [east, west] = await Promise.all([createDatabase(), createDatabase()]);
const instances = { east: { url: east.url }, west: { url: west.url, weight: 2 } };
const router = new Router([
  { name: "east", weight: 1, target: "east" },
  { name: "west", weight: 2, target: "west" },
]);
const keys = Array.from({ length: 20 }, (_, index) => `order:${index}`);
const keyOf = (name: string): string => keys.find((key) => router.of(key) === name) ?? "";
const away = "postgres://app:hunter2@127.0.0.1:1/app";

/** With both in the variable, the addresses as text where that is all. */
function ask(...args: string[]): Promise<CliResult> {
  return askWith({ east: east.url, west: instances.west }, ...args);
}

function askWith(variable: object, ...args: string[]): Promise<CliResult> {
  return askCli(cli, args, { env: { LEASEHOLD_INSTANCES: JSON.stringify(variable) } });
}

const flags = ["--instance", `east=${east.url}`, "--instance", `west=${west.url}`];

function openLocker(): Locker {
  const locker = createLocker({
    instances,
    owner: "api-1",
    ttlMs: 600_000,
    statsFlushMs: 100,
    onLost: () => undefined,
  });
  onTestFinished(() => locker.close());
  return locker;
}

/** The first two columns. */
function columns({ stdout }: CliResult): string[][] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ +/).slice(0, 2));
}

test("ls lists the keys of all, with the instance of each, or those of the instances that are named", async () => {
  const locker = openLocker();
  for (const key of keys) await locker.acquire(key);
  const eastern = keys.filter((key) => router.of(key) === "east").sort();
  const western = keys.filter((key) => router.of(key) === "west").sort();
  const [all, byFlags, json, one, own, filtered] = await Promise.all([
    ask("ls"),
    callCli(["ls", ...flags]),
    ask("ls", "--json"),
    ask("ls", "--instance", "west"),
    callCli(["ls", ...flags, "--instance=west"]),
    ask("ls", keyOf("east")),
  ]);

  const rows = [["INSTANCE", "KEY"], ...eastern.map((key) => ["east", key]), ...western.map((key) => ["west", key])];
  expect([all.code, all.stderr]).toEqual([0, ""]);
  expect(columns(all)).toEqual(rows);
  expect([byFlags.code, columns(byFlags)]).toEqual([0, rows]);
  const data = JSON.parse(json.stdout) as { instance: string; key: string; owner: string }[];
  expect(data.map((row) => [row.instance, row.key])).toEqual(rows.slice(1));
  expect(Object.keys(data[0] ?? {})[0]).toBe("instance");
  for (const result of [one, own]) expect(columns(result)).toEqual(rows.filter(([name]) => name !== "east"));
  expect(columns(filtered).every(([name]) => name === "INSTANCE" || name === "east")).toBe(true);
});

test("what lists other things does the same", async () => {
  const locker = openLocker();
  const key = keyOf("west");
  await locker.acquire(key);
  await locker.acquire(keyOf("east"));
  const waiter = openLocker();
  const giveUp = new AbortController();
  const wait = waiter.acquire(key, { signal: giveUp.signal, waitMs: 60_000 }).catch(() => undefined);
  await until("somebody waits", async () => (await west.sql`select from leasehold.waiting`).length > 0);
  const [waiting, sessions, hot] = await Promise.all([ask("waiting"), ask("sessions"), ask("hot")]);
  giveUp.abort();
  await wait;

  expect(columns(waiting)).toEqual([
    ["INSTANCE", "KEY"],
    ["west", key],
  ]);
  expect(columns(sessions).map(([name]) => name)).toEqual(["INSTANCE", "east", "west", "west"]);
  expect([hot.code, waiting.code, sessions.code]).toEqual([0, 0, 0]);
});

test("stats are those of each, as a list in JSON", async () => {
  const locker = openLocker();
  await locker.withLock(keyOf("east"), () => undefined);
  await until(
    "it is written down",
    async () => (await east.sql`select from leasehold.stats where acquired > 0`).length > 0,
  );
  const [text, json, prefixes, one] = await Promise.all([
    ask("stats"),
    ask("stats", "--json"),
    ask("stats", "--by-prefix"),
    ask("stats", "--instance", "east"),
  ]);

  const blocks = text.stdout.split("\n\n").map((block) => block.split("\n")[0]?.split(/ +/));
  expect(blocks).toEqual([
    ["instance", "east"],
    ["instance", "west"],
  ]);
  expect(text.stdout).toMatch(/^acquired +\d+$/m);
  const data = JSON.parse(json.stdout) as { instance: string; acquired: number }[];
  expect(data.map(({ instance }) => instance)).toEqual(["east", "west"]);
  expect(Number(data[0]?.acquired)).toBeGreaterThan(0);
  expect(columns(prefixes).slice(0, 2)).toEqual([
    ["INSTANCE", "PREFIX"],
    ["east", "order"],
  ]);
  expect(one.stdout).toMatch(/^instance +east\n/);
  expect(one.stdout).not.toContain("west");
});

test("doctor examines all, and fails when one has a problem", async () => {
  const empty = await createEmptyDatabase();
  const [both, json, ill] = await Promise.all([
    ask("doctor"),
    ask("doctor", "--json"),
    askWith({ east: east.url, new: empty.url }, "doctor"),
  ]);

  const titles = both.stdout.split("\n").filter((line) => /^(east|west): /.test(line));
  expect(titles).toEqual([
    expect.stringContaining(`east: ${east.name} on `),
    expect.stringContaining(`west: ${west.name} on `),
  ]);
  const data = JSON.parse(json.stdout) as { instance: string; findings: object[]; has_problem: boolean }[];
  expect(data.map(({ instance }) => instance)).toEqual(["east", "west"]);
  expect(both.code).toBe(data.some(({ has_problem }) => has_problem) ? 1 : 0);
  expect(ill.code).toBe(1);
  expect(ill.stdout).toMatch(/^new: .*\n(.*\n)*problem +schema/m);
});

test("one that cannot be reached is told, and the others are shown", async () => {
  const locker = openLocker();
  const key = keyOf("east");
  await locker.acquire(key);
  const [text, json, doctor, none, alone] = await Promise.all([
    askWith({ east: east.url, gone: away }, "ls"),
    askWith({ gone: away, east: east.url }, "ls", "--json"),
    askWith({ gone: away, east: east.url }, "doctor"),
    askWith({ gone: away, away: "postgres://app:hunter2@127.0.0.1:2/app" }, "ls"),
    askWith({ gone: away, east: east.url }, "ls", "--instance", "gone"),
  ]);
  const nothing = await askWith({ gone: away, west: west.url }, "ls");

  expect(text.code).toBe(1);
  expect(columns(text)).toEqual([
    ["INSTANCE", "KEY"],
    ["east", key],
  ]);
  expect(text.stderr).toMatch(/^leasehold ls: instance gone: .*127\.0\.0\.1:1/);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject([{ instance: "east", key }]);
  expect(JSON.parse(json.stderr)).toMatchObject({
    error: { name: "UnavailableError", message: expect.stringMatching(/^instance gone: /) },
  });
  expect(doctor.code).toBe(1);
  expect(doctor.stdout).toMatch(/^east: /);
  expect(doctor.stderr).toMatch(/^leasehold doctor: instance gone: /);
  expect([none.code, none.stdout]).toEqual([1, ""]);
  expect(none.stderr).toMatch(/instance gone: .*\n.*instance away: /);
  expect([alone.code, alone.stdout]).toEqual([1, ""]);
  expect(nothing.stdout).toBe("There is nothing on the instances that have answered.\n");
  for (const { stdout, stderr } of [text, json, doctor, none, alone]) expect(stdout + stderr).not.toContain("hunter2");
});

test("a command about a key finds its instance by the weights of the variable", async () => {
  const locker = openLocker();
  const [eastern, western] = [keyOf("east"), keyOf("west")];
  await locker.acquire(eastern);
  const shown = await ask("show", eastern);
  const data = await ask("show", western, "--json");
  const elsewhere = await ask("show", eastern, "--instance", "west");
  const busy = await ask("run", eastern, "--no-wait", "--", "true");
  const released = await ask("release", "--force", eastern, "--immediate");
  await using running = new CliProcess(cli, ["run", western, "--", "sh", "-c", "echo holds; cat"], {
    env: { LEASEHOLD_INSTANCES: JSON.stringify(instances) },
  });
  await running.wrote("holds");
  const info = await locker.check(western);
  running.endInput();
  const ran = await running.result;

  expect([shown.code, shown.stdout.split("\n")[0]]).toEqual([0, "On instance east:"]);
  expect(JSON.parse(data.stdout)).toMatchObject({ key: western, instance: "west", is_free: true });
  expect([elsewhere.code, elsewhere.stdout]).toEqual([1, `On instance west:\n\n${eastern} is free.\n`]);
  expect([busy.code, busy.stderr]).toEqual([193, expect.stringContaining("api-1")]);
  expect([released.code, released.stderr]).toEqual([0, ""]);
  expect(info).toMatchObject({ instance: "west", state: "held" });
  expect(ran.code).toBe(0);
});

test("where it cannot be told which one is meant, the names are listed", async () => {
  const expected = "which instance? Say --instance <name>, one of east, west";
  for (const args of [["sweep"], ["migrate"], ["watch"]]) {
    const result = await ask(...args);
    expect([result.code, result.stderr]).toEqual([2, `leasehold ${args[0]}: ${expected}\n`]);
  }
  // Flags have no weights.
  const byFlags = await callCli(["show", "a", ...flags]);
  expect([byFlags.code, byFlags.stderr]).toEqual([
    2,
    `leasehold show: ${expected}, or give them all with their weights in LEASEHOLD_INSTANCES\n`,
  ]);
  const run = await runCli(cli, ["run", "a", ...flags, "--", "true"]);
  expect([run.code, run.stderr]).toEqual([196, expect.stringContaining(expected)]);
  const named = await ask("sweep", "--instance", "east");
  const single = await askWith({ east: east.url }, "sweep");
  expect([named.code, single.code]).toEqual([0, 0]);
});

test("one address on the command line comes before the variable", async () => {
  const locker = openLocker();
  await locker.acquire(keyOf("west"));
  const result = await ask("ls", "--url", west.url);
  expect(columns(result)).toEqual([
    ["KEY", "STATE"],
    [keyOf("west"), "held"],
  ]);
});

test.each([
  [["--instance", "south"], '--instance "south": expected one of east, west'],
  [["--instance", "west", "--url", "postgres://a/b"], "--instance and --url exclude each other"],
  [["--instance", "a=postgres://a/b", "--instance", "a=postgres://c/d"], '"a": its address is given more than once'],
  [["--instance", "west", "--embedded"], "--instance and --embedded exclude each other"],
  [["--instance", "a b=postgres://a/b"], "instances: expected names of 1 to 63 letters, digits, - and _"],
  [
    ["--instance", `a=${away}`, "--instance", `b=${away}`],
    "instances.b: expected another database than that of instance",
  ],
  [["--instance", "a=mysql://app:hunter2@a/b"], "instances.a.url: expected an address that starts with postgres://"],
  [["--instance", "a="], "instances.a.url: expected the address of a database"],
])("%j is a mistake in the command line", async (args, message) => {
  const result = await ask("ls", ...args);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
  expect(result.stderr).not.toContain("hunter2");
});

test("the variable is read as configFromEnv reads it: durations are text there, too", async () => {
  const { code, stderr } = await askWith({ east: { url: east.url, takeoverDelayMs: "2s" } }, "ls");
  expect([code, stderr]).toEqual([0, ""]);
  const wrong = await askWith({ east: { url: east.url, takeoverDelayMs: "2 parsecs" } }, "ls");
  expect(wrong.stderr).toContain("LEASEHOLD_INSTANCES.east.takeoverDelayMs: expected a duration");
});

test("a variable that cannot be read is told without its text", async () => {
  const run = (LEASEHOLD_INSTANCES: string) => callCli(["ls"], { env: { LEASEHOLD_INSTANCES } });
  const text = await run(`east=${away}`);
  expect([text.code, text.stderr]).toEqual([
    2,
    expect.stringContaining("leasehold ls: LEASEHOLD_INSTANCES: expected a JSON object"),
  ]);
  const weights = await run(`{"east": {"url": "${away}", "weight": "2"}}`);
  expect([weights.code, weights.stderr]).toEqual([
    2,
    expect.stringContaining("LEASEHOLD_INSTANCES.east.weight: expected a finite number"),
  ]);
  expect(text.stderr + weights.stderr).not.toContain("hunter2");
  const none = await callCli(["ls", "--instance", "east"], { url: east.url });
  expect([none.code, none.stderr]).toEqual([
    2,
    expect.stringContaining('--instance "east": there are no instances; give its address'),
  ]);
  const empty = await callCli(["ls"], { url: east.url, env: { LEASEHOLD_INSTANCES: "" } });
  expect([empty.code, empty.stdout]).toEqual([0, "No key is held.\n"]);
});
