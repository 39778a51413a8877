// The manual page and the reference are made from the tables of the commands: they are current, and the page is well-formed.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { referenceFiles, root } from "../../../scripts/command-reference.js";
import { optionsOf } from "../../../src/cli/command.js";
import { allCommands } from "../../../src/cli/commands.js";

const files = await referenceFiles();
const page = join(root, "man/leasehold.1");

test.each([...files.keys()])("%s is what npm run build:reference writes", (name) => {
  expect(readFileSync(join(root, name), "utf8")).toBe(files.get(name));
});

/** Whether a program that reads manual pages is there. Says so loudly, as what it tests stays untested. */
function has(program: string): boolean {
  if (spawnSync(program, ["--version"]).error === undefined) return true;
  console.warn(`\n!!! ${program.toUpperCase()} IS NOT INSTALLED: the manual page is NOT checked by it !!!\n`);
  return false;
}

test.skipIf(!has("mandoc"))("mandoc has nothing to say about the manual page but that it has no date", () => {
  const { stdout } = spawnSync("mandoc", ["-T", "lint", page], { encoding: "utf8" });
  const complaints = stdout.split("\n").filter((line) => line !== "" && !/missing date|operating system/i.test(line));
  expect(complaints).toEqual([]);
});

test.skipIf(!has("groff"))("nor has groff, with all its warnings", () => {
  const { status, stderr } = spawnSync("groff", ["-T", "utf8", "-man", "-ww", "-z", page], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test.skipIf(!has("mandoc"))("a reader of it sees every option and every example as it is to be typed", async () => {
  const printed = execFileSync("mandoc", ["-T", "utf8", "-O", "width=200", page], { encoding: "utf8" });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bold and underlined text is overstruck
  const text = printed.replaceAll(/.\u0008/gu, "");
  for (const command of await allCommands()) {
    for (const [name, { short, value }] of Object.entries(optionsOf(command)))
      expect(text).toContain(
        `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`,
      );
    for (const { call } of command.examples) expect(text).toContain(call);
  }
});
