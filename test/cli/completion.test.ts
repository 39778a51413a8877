// Completions as a user meets them: real shells on a terminal, and a press of Tab.
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { commands } from "../../src/cli/commands.js";
import { findPython, hasShell, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { Terminal } from "../support/terminal.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const python = findPython();
const folder = await mkdtemp(join(tmpdir(), "leasehold-completion-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
await mkdir(join(folder, "fish"));
const files = {
  bash: join(folder, "leasehold.bash"),
  zsh: join(folder, "_leasehold"),
  fish: join(folder, "fish/leasehold.fish"),
};
for (const [shell, file] of Object.entries(files))
  await writeFile(file, (await runCli(cli, ["completion", shell])).stdout);
await writeFile(join(folder, "a-file-to-find"), "");

/** How each shell is started without anybody's settings, and what makes it know the completions. */
const shells = {
  bash: { program: ["bash", "--norc", "--noprofile", "-i"], setUp: `source ${files.bash}` },
  zsh: {
    program: ["zsh", "-f", "-i"],
    setUp: `fpath=(${folder} $fpath); autoload -U compinit; compinit -u -D; bindkey -e`,
  },
  fish: { program: ["fish", "--private", "-i"], setUp: `source ${files.fish}` },
} as const;

const cases = [
  ["leasehold sess", "leasehold sessions"],
  ["leasehold comp", "leasehold completion"],
  ["leasehold --ver", "leasehold --version"],
  ["leasehold help rel", "leasehold help release"],
  ["leasehold ls --exp", "leasehold ls --expired"],
  ["leasehold release order:1 --imm", "leasehold release order:1 --immediate"],
  ["leasehold completion fi", "leasehold completion fish"],
  ["leasehold run --no-w", "leasehold run --no-wait"],
  ["leasehold run k --no-w", "leasehold run k --no-wait"],
  ["leasehold run k -q --confl", "leasehold run k -q --conflict-exit-code"],
  ["leasehold run a:b --wait 5s -- basenam", "leasehold run a:b --wait 5s -- basename"],
  ["leasehold run a:b -- cat a-fi", "leasehold run a:b -- cat a-file-to-find"],
  ["leasehold run -- -k:1 -- basenam", "leasehold run -- -k:1 -- basename"],
] as const;

describe.each(["bash", "zsh", "fish"] as const)("%s", (shell) => {
  const isThere = hasShell(shell) && python !== undefined;

  test.skipIf(!isThere)("completes commands, options, and what runs under the lock", async () => {
    const { program, setUp } = shells[shell];
    const env = { PS1: "> ", HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, TERM: "dumb" };
    await using terminal = new Terminal(program, { cwd: folder, env, columns: 200 });
    terminal.press(`${setUp}; echo set"-"up\n`);
    await terminal.wrote("set-up");
    for (const [index, [typed, expected]] of cases.entries()) {
      // The line as it was completed is handed to echo, between marks that were not typed.
      terminal.press(`${typed}\t`);
      terminal.press(`\u0001echo "<"${index}"<" \u0005 ">"${index}">"\n`);
      await until(`${typed} in ${shell}`, () => terminal.output.includes(`>${index}>`)).catch((error: Error) => {
        throw new Error(`${error.message}\n${terminal.output}`);
      });
      const [, line = ""] = new RegExp(`<${index}< (.*?) +>${index}>`).exec(terminal.output) ?? [];
      expect(line).toBe(expected);
    }
    terminal.press("exit\n");
    await terminal.exit;
  });
});

/** What bash offers at the end of these words. */
function offeredByBash(...words: string[]): string[] {
  const script = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _leasehold; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", script, files.bash, ...words], { encoding: "utf8", cwd: folder })
    .split("\n")
    .filter((word) => word !== "");
}

const hasBash = hasShell("bash");

test.skipIf(!hasBash)("bash offers every command, and every option of each", async () => {
  const names = Object.keys(commands);
  expect(offeredByBash("leasehold", "")).toEqual([
    ...names,
    "help",
    "version",
    "--examples",
    "-h",
    "--help",
    "-v",
    "--version",
  ]);
  for (const [name, load] of Object.entries(commands)) {
    const { options } = await load();
    const words = Object.entries(options).flatMap(([option, { short }]) => [
      `--${option}`,
      ...(short ? [`-${short}`] : []),
    ]);
    const common = ["--examples", "-h", "--help", "-v", "--version"];
    const offered = offeredByBash("leasehold", name, "-");
    expect(offered.filter((word) => word !== "--").sort(), name).toEqual([...words, ...common].sort());
  }
});

test.skipIf(!hasBash)("bash offers nothing where a value or a key is to be typed, and no options behind --", () => {
  expect(offeredByBash("leasehold", "run", "k", "--wait", "")).toEqual([]);
  expect(offeredByBash("leasehold", "run", "k", "--wait", "=", "")).toEqual([]);
  expect(offeredByBash("leasehold", "show", "")).toEqual([]);
  expect(offeredByBash("leasehold", "show", "--", "-")).toEqual([]);
  expect(offeredByBash("leasehold", "run", "--", "-")).toEqual([]);
  expect(offeredByBash("leasehold", "no-such", "-")).toEqual([]);
});

test.skipIf(!hasShell("fish"))("fish tells what each option is for", () => {
  const script = 'source $argv[1]; complete -C "leasehold run k --"';
  const offered = execFileSync("fish", ["--private", "-c", script, files.fish], { encoding: "utf8" });
  expect(offered).toMatch(/^--no-wait\tdo not wait$/m);
  expect(offered).not.toContain("--expired");
});
