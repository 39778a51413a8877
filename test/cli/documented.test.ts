// What docs/reference/command-line.md shows, by a shell that types it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commands } from "../../src/cli/commands.js";
import { Tokens } from "../sql-api/transcript.js";
import { cliEnvironment } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { until } from "../support/until.js";

const page = await readFile(new URL("../../docs/reference/command-line.md", import.meta.url), "utf8");
const cli = cliProgram();

test("what it shows is what comes", async () => {
  const exchanges = readExchanges();
  const fences = new Tokens();
  expect(exchanges.length).toBeGreaterThan(10);
  await using database = await createDatabase();
  expectLeft(database, "sessions");
  // The operator whose terminal the page shows, with no more than what he was granted.
  const app = await createRole(database, { grantUsage: true });
  await database.sql`select leasehold.grant_monitoring(${app.name}), leasehold.grant_admin(${app.name})`;
  await database.sql.unsafe(`grant pg_read_all_stats to ${app.name}`);
  const folder = await mkdtemp(join(tmpdir(), "leasehold-docs-"));
  const program = join(folder, "bin", "leasehold");
  await mkdir(join(folder, "bin"));
  await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`);
  await chmod(program, 0o755);
  const shell = new Shell(
    cliEnvironment({ url: app.url, env: { PATH: `${join(folder, "bin")}:${process.env.PATH}` } }),
  );
  const isUnderWay = async (owner: string) =>
    (
      await database.sql`select from leasehold.active_leases where owner = ${owner} union all select from leasehold.waiting where owner = ${owner}`
    ).length > 0;
  try {
    for (const { input, output } of exchanges) {
      const answer = await shell.type(fences.actual(input));
      fences.learn(output, answer);
      const owner = /--owner (\S+).*&$/.exec(input)?.[1];
      if (owner !== undefined) await until(`${owner} holds or waits`, () => isUnderWay(owner));
      expect(masked(answer), input).toEqual(masked(fences.actual(output)));
    }
  } finally {
    await shell.end();
    await rm(folder, { recursive: true, force: true });
  }
});

test("its table names every command; the reference below is compared by test/unit/cli/reference.test.ts", () => {
  const shown = [...page.matchAll(/^\| `([a-z]+)/gm)].map(([, name]) => name);
  expect(shown).toEqual(expect.arrayContaining(Object.keys(commands)));
});

interface Exchange {
  readonly input: string;
  readonly output: string;
}

function readExchanges(): Exchange[] {
  const text = [...page.matchAll(/^```shell-session\n(.*?)^```/gms)].map(([, block]) => block).join("");
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => ({ input: part.slice(0, part.indexOf("\n")), output: part.slice(part.indexOf("\n") + 1) }));
}

/**
 * Without durations, times, numbers, names of machines, and the blanks that depend on them. And without what a command in the background says
 * about a lost lock: that comes at its next renewal, whenever that is.
 */
function masked(output: string): string[] {
  return output
    .replaceAll(/^leasehold run: Lost the lock on .*\n/gm, "")
    .replaceAll(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, "<time>")
    .replaceAll(/\b\d+(\.\d+)?(ms|s|m|h)\b/g, "<duration>")
    .replaceAll(/^.* on .* as .*$/gm, "<database>")
    .replaceAll(/^(ok +(?:permissions|role) +)\S+/gm, "$1<role>")
    .replaceAll(/(belong to|superusers and) \S+?(,? )/g, "$1 <owner>$2")
    .replaceAll(/^(ok +versions +).*$/gm, "$1<versions>")
    .replaceAll(/^(ok +connections +)\d+ of \d+/gm, "$1<some>")
    .replaceAll(/^(host +)\S+$/gm, "$1<host>")
    .replaceAll(/^(pid +)\d+$/gm, "$1<pid>")
    .replaceAll(/^( *\d+ +\S+ +)\d+( +)\S+( +)/gm, "$1<pid>$2<host>$3")
    .replaceAll(/^client_address .*$/gm, "client_address <address>")
    .split("\n")
    .map((line) => line.trim().replaceAll(/ +/g, " "))
    .filter((line) => line !== "");
}

/** A shell that is typed into, without a prompt. */
class Shell {
  readonly #process;
  #output = "";

  constructor(env: NodeJS.ProcessEnv) {
    this.#process = spawn("bash", ["-c", "exec bash --norc 2>&1"], {
      env,
      cwd: tmpdir(),
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    // Both outputs in one, so that they come in the order in which they were written.
    this.#process.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
  }

  /** What comes, up to the end of the command. */
  async type(command: string): Promise<string> {
    this.#output = "";
    // In its own line and with the status kept: the next command may ask for it.
    this.#process.stdin.write(`${command}\n{ code=$?; echo "<end>"; (exit $code); }\n`);
    await until(`the end of ${command}`, () => this.#output.includes("<end>\n"));
    return this.#output.replace("<end>\n", "");
  }

  async end(): Promise<void> {
    this.#process.stdin.end("kill $(jobs -p); wait\n");
    await once(this.#process, "close");
  }
}
