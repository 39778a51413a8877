import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { commands } from "../../src/cli/commands.js";
import { callCli, cliEnvironment, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase } from "../support/database.js";

const cli = cliProgram();
const database = await createDatabase();
const names = Object.keys(commands);
const expected = "expected a duration such as 500ms, 30s, 2m or 1h30m";

test("without anything, and with --help, it shows its commands", async () => {
  const [bare, help, word] = await Promise.all([runCli(cli, []), runCli(cli, ["--help"]), runCli(cli, ["help"])]);
  expect(bare).toMatchObject({ code: 0, stderr: "" });
  expect(help).toEqual(bare);
  expect(word).toEqual(bare);
  for (const name of names) expect(bare.stdout).toMatch(new RegExp(`^  ${name} +\\w`, "m"));
});

test("--version is that of the package, and -v, of every command", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const asked = [["--version"], ["-v"], ["version"], ["ls", "--version"], ["run", "-v"], ["show", "-v"]];
  for (const result of await Promise.all(asked.map((args) => runCli(cli, args))))
    expect(result).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test.each(names)("leasehold %s --help says how to call it, with every option, and needs no database", async (name) => {
  const { code, stdout, stderr } = await callCli([name, "--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`Usage: leasehold ${name}`);
  const command = await commands[name]?.();
  for (const [option, { short }] of Object.entries(command?.options ?? {}))
    expect(stdout).toMatch(new RegExp(`^  ${short === undefined ? "    " : `-${short}, `}--${option} `, "m"));
  expect((await callCli(["help", name])).stdout).toBe(stdout);
  expect((await callCli([name, "-h"])).stdout).toBe(stdout);
});

test.each(names)("leasehold %s --examples prints those that its help ends with, and nothing else", async (name) => {
  const { code, stdout, stderr } = await callCli([name, "--examples"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const command = await commands[name]?.();
  const lines = (command?.examples ?? []).map(({ text, call }) => `# ${text}\n${call}\n`);
  expect(lines.length).toBeGreaterThan(0);
  expect(stdout).toBe(lines.join("\n"));
  const { stdout: help } = await callCli([name, "--help"]);
  expect(help.split("\nExamples:\n")[1]?.replaceAll(/^ {2}/gm, "")).toBe(stdout);
});

test("--examples alone prints those of all commands", async () => {
  const [all, ...each] = await Promise.all(
    [[], ...names.map((name) => [name])].map((args) => callCli([...args, "--examples"])),
  );
  expect(all).toEqual({ code: 0, stdout: each.map(({ stdout }) => stdout).join("\n"), stderr: "" });
});

test.each([
  [["migrat"], 'leasehold: "migrat": there is no such command. Did you mean migrate?\n'],
  [["frobnicate"], 'leasehold: "frobnicate": there is no such command. leasehold --help shows the commands.\n'],
  [["toString"], 'leasehold: "toString": there is no such command. leasehold --help shows the commands.\n'],
  [["ls", "--jsom"], "leasehold ls: --jsom: there is no such option. Did you mean --json?\n"],
  [["doctor", "-x"], "leasehold doctor: -x: there is no such option. --help shows the options.\n"],
  [
    ["show", "-key"],
    "leasehold show: -k: there is no such option. --help shows the options. A key that begins with - follows behind --.\n",
  ],
  [["migrat", "postgres://a:sesame@b/c"], 'leasehold: "migrat": there is no such command. Did you mean migrate?\n'],
  [
    ["postgres://a:sesame@b/c"],
    "leasehold: an address: there is no such command. leasehold --help shows the commands.\n",
  ],
  [
    ["doctor", "postgres://a:sesame@b/c"],
    "leasehold doctor: an address: that is too much: leasehold doctor [options]\n",
  ],
  [["ls", "--json=postgres://a:sesame@b"], "leasehold ls: --json takes no value, got an address\n"],
  [
    ["watch", "--every", "a:sesame@b/c"],
    "leasehold watch: --every: expected a duration such as 500ms, 30s, 2m or 1h30m, got an address\n",
  ],
  [
    ["completion", "tcsh"],
    'leasehold completion: "tcsh": expected bash, zsh, fish: leasehold completion bash|zsh|fish\n',
  ],
  [["ls", "--json=yes"], 'leasehold ls: --json takes no value, got "yes"\n'],
  [["ls", "--url"], "leasehold ls: --url needs a value: --url <address>\n"],
  [["migrate", "--grant-to", "--dry-run"], "leasehold migrate: --grant-to needs a value: --grant-to <role>\n"],
  [["ls", "--url", "postgres://a", "--url", "postgres://b"], "leasehold ls: --url is given 2 times\n"],
  [["ls", "a", "b"], 'leasehold ls: "b": that is too much: leasehold ls [prefix or pattern] [options]\n'],
  [["ls", "a", "--", "-b"], 'leasehold ls: "-b": that is too much: leasehold ls [prefix or pattern] [options]\n'],
  [["show", "--"], "leasehold show: <key> is missing: leasehold show <key> [options]\n"],
  [["show"], "leasehold show: <key> is missing: leasehold show <key> [options]\n"],
  [
    ["release", "k"],
    "leasehold release: a lock is released by its holder; to take it from the holder say so: leasehold release --force <key>\n",
  ],
  [
    ["release", "--force", "k", "--fence", "1.5"],
    "leasehold release: --fence: expected a whole number, as leasehold ls shows it\n",
  ],
  [
    ["watch", "--every", "5"],
    'leasehold watch: --every: expected a duration such as 500ms, 30s, 2m or 1h30m, got "5": write 5s for seconds, 5ms for milliseconds\n',
  ],
  [["watch", "--every", "1ms"], "leasehold watch: --every: expected 100ms or more, got 1ms\n"],
  [
    ["ls", "--embedded", "--url", "postgres://a"],
    "leasehold ls: --embedded has an address of its own: leave out --url and --direct-url\n",
  ],
])("%j is a wrong command line: exit code 2", async (args, message) => {
  expect(await callCli(args)).toEqual({ code: 2, stdout: "", stderr: message });
});

test.each([
  [["run", "k"], "the command to run follows behind --: leasehold run <key> [options] -- <command> [argument...]"],
  [
    ["run", "k", "ls", "-l"],
    "the command to run follows behind --: leasehold run <key> [options] -- <command> [argument...]",
  ],
  [["run", "k", "--"], "the command to run is missing: leasehold run <key> -- <command>"],
  [["run", "--", "true"], "<key> is missing: leasehold run <key> [options] -- <command> [argument...]"],
  [["run", "k", "--wait", "soon", "--", "true"], `--wait: ${expected}, got "soon"`],
  [["run", "k", "--owner", "--no-wait", "--", "true"], "--owner needs a value: --owner <name>"],
  [["run", "k", "--no", "--", "curl", "--json"], "--no: there is no such option. --help shows the options."],
  [
    ["run", "k", "--wait", "5", "--", "true"],
    `--wait: ${expected}, got "5": write 5s for seconds, 5ms for milliseconds`,
  ],
  [["run", "k", "-E", "256", "--", "true"], '--conflict-exit-code: expected a whole number of 0 to 255, got "256"'],
  [["run", "k", "-E1.5", "--", "true"], '--conflict-exit-code: expected a whole number of 0 to 255, got "1.5"'],
  [["run", "k", "-E", "--", "true"], "-E needs a value: -E <code>"],
  [["run", "--", "key", "true"], "<key> is missing: leasehold run <key> [options] -- <command> [argument...]"],
  [["run", "--", "key", "--"], "the command to run is missing: leasehold run <key> -- <command>"],
  [["run", "k", "--wait", "1s", "--no-wait", "--", "true"], "--wait and --no-wait exclude each other"],
])("%j is a wrong command line of run: an exit code that commands do not have", async (args, message) => {
  expect(await callCli(args)).toEqual({ code: 196, stdout: "", stderr: `leasehold run: ${message}\n` });
});

test("a key, a duration or an address that cannot be one is a wrong command line, in the words of the command line", async () => {
  const { url } = database;
  const wrong = await Promise.all([
    callCli(["run", "k".repeat(513), "--", "true"], { url }),
    callCli(["run", "k", "--ttl", "1ms", "--", "true"], { url }),
    callCli(["run", "k", "--url", "mysql://a", "--", "true"]),
    callCli(["ls", "--url", "mysql://a"]),
  ]);
  expect(wrong.map(({ code }) => code)).toEqual([196, 196, 196, 2]);
  expect(wrong.map(({ stderr }) => stderr.split(", got")[0])).toEqual([
    "leasehold run: key: expected at most 512 bytes in UTF-8",
    "leasehold run: --ttl: expected an integer of 100 to 2147483647 (milliseconds)",
    "leasehold run: --url: expected an address that starts with postgres:// or postgresql://",
    "leasehold ls: --url: expected an address that starts with postgres:// or postgresql://",
  ]);
});

test("a process ends with that exit code, and with that of run", async () => {
  const wrong = await Promise.all([runCli(cli, ["migrat"]), runCli(cli, ["run", "k"])]);
  expect(wrong).toEqual([await callCli(["migrat"]), await callCli(["run", "k"])]);
  expect(wrong.map(({ code }) => code)).toEqual([2, 196]);
});

test("options of the command behind -- are its own", async () => {
  const result = await runCli(
    cli,
    ["run", "own", "--", process.execPath, "-p", "process.argv.length", "--", "--json"],
    database,
  );
  expect(result).toEqual({ code: 0, stdout: "2\n", stderr: "" });
});

test("without an address it says how to give one", async () => {
  const asks = names.filter((name) => !["sql", "run", "show", "release", "completion", "man"].includes(name));
  const all = [...asks.map((name) => [name]), ["show", "k"], ["release", "--force", "k"]];
  for (const { code, stdout, stderr } of await Promise.all(all.map((args) => callCli(args)))) {
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    for (const way of ["LEASEHOLD_DATABASE_URL", "DATABASE_URL", "--url", "PGHOST", "--embedded"])
      expect(stderr).toContain(way);
  }
  const run = await runCli(cli, ["run", "k", "--", "true"]);
  expect(run.code).toBe(195);
  expect(run.stderr).toContain("--url");
});

test("the address comes from --url, LEASEHOLD_DATABASE_URL, DATABASE_URL or libpq's variables", async () => {
  const { url } = database;
  const { hostname, port, username, password, pathname } = new URL(url);
  const libpq = {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: pathname.slice(1),
  };
  const wrong = "postgres://127.0.0.1:1/nowhere";
  const results = await Promise.all([
    runCli(cli, ["ls", "--url", url], { url: wrong }),
    runCli(cli, ["ls"], { url: wrong, env: { LEASEHOLD_DATABASE_URL: url } }),
    runCli(cli, ["ls"], { url }),
    runCli(cli, ["ls"], { env: libpq }),
    runCli(cli, ["ls"], { url: wrong, env: { LEASEHOLD_DIRECT_URL: url } }),
  ]);
  for (const result of results) expect(result).toEqual({ code: 0, stdout: "No key is held.\n", stderr: "" });
});

test("with --json an error is JSON, on stderr", async () => {
  const wrong = await runCli(cli, ["ls", "--json", "--frob"]);
  expect(JSON.parse(wrong.stderr)).toEqual({
    error: { message: "--frob: there is no such option. --help shows the options." },
  });
  expect((await runCli(cli, ["ls", "-j", "--frob"])).stderr).toBe(wrong.stderr);
  const away = await runCli(cli, ["ls", "--json"], { url: "postgres://someone:sesame@127.0.0.1:1/nowhere" });
  expect(away).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(away.stderr)).toMatchObject({
    error: { name: "UnavailableError", code: "unavailable", outcome: "not-sent" },
  });
  expect(away.stderr).toContain("ECONNREFUSED");
});

test("what reads may have enough: no error, no noise", async () => {
  const child = spawn(process.execPath, [cli, "sql"], { env: cliEnvironment({}), stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdout.once("data", () => child.stdout.destroy()); // as `head` does
  const [code] = await once(child, "close");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test.skipIf(!existsSync("/dev/full"))("output that cannot be written is an error, told in one line", async () => {
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [cli, "sql"], { env: cliEnvironment({}), stdio: ["ignore", full, "pipe"] });
  closeSync(full);
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^leasehold: the output cannot be written: ENOSPC.*\n$/);
});
