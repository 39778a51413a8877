// Every block of code of the README and of docs/ is checked by something, here or where `checkedBy` says.
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { readArguments } from "../../../src/cli/arguments.js";
import { allCommands, commands } from "../../../src/cli/commands.js";
import { type Block, blocksOf, readPage, userPages } from "../../support/pages.js";

const checkedBy: Readonly<Record<string, string>> = {
  ts: "test/readme.test.ts compiles it",
  js: "test/readme.test.ts compiles it; test/package runs the first one",
  sql: "test/docs/sql-blocks.test.ts runs it",
  psql: "test/sql-api/session.test.ts types it",
  console: "test/inspect/documented.test.ts types it",
  pgsql: "test/counters/documented.test.ts types it",
  "shell-session": "test/cli/documented.test.ts types it",
  sh: "below",
  json: "below",
  yaml: "test/ui/operations.test.ts gives it to promtool",
  text: "nothing: it is no code",
};

const blocks = userPages().flatMap(blocksOf);
const of = (language: string): readonly (readonly [string, Block])[] =>
  blocks.filter((block) => block.language === language).map((block) => [`${block.page}:${block.line}`, block] as const);
const { scripts } = JSON.parse(readPage("package.json").text) as { readonly scripts: Readonly<Record<string, string>> };

test("every block says its language, and something checks that", () => {
  const unknown = blocks.filter(({ language }) => !Object.hasOwn(checkedBy, language));
  expect(unknown.map(({ page, line, language }) => `${page}:${line}: ${language || "none"}`)).toEqual([]);
});

test.each(of("json"))("%s is JSON", (_, { text }) => {
  JSON.parse(text);
});

test.each(of("sh"))("%s can be typed into a shell", async (_, { text }) => {
  execFileSync("bash", ["-n"], { input: text });
  for (const [, script = ""] of text.matchAll(/npm run (?:--silent )?([\w:-]+)/g))
    expect(scripts).toHaveProperty(script);
  for (const call of callsIn(text)) await expectCall(call);
});

test("what the command line is called with is looked at", () => {
  expect(
    callsIn(
      'npx leasehold run a --wait 10s -- "./b c.sh"  # a\nleasehold ls | grep b\n0 3 * * *  leasehold show -- -k\n',
    ),
  ).toEqual([["run", "a", "--wait", "10s", "--", "./b c.sh"], ["ls"], ["show", "--", "-k"]]);
});

/** The arguments of each call of `leasehold`, as a shell would split them up. */
function callsIn(text: string): readonly (readonly string[])[] {
  const calls = text.replaceAll("\\\n", " ").matchAll(/^(?!#).*?(?:^|[\s;&|])(?:npm:)?leasehold (.*)$/gm);
  return [...calls].map(([, rest = ""]) => words(rest));
}

/** Up to what ends a command: a comment, a pipe, `&`, a redirection. */
function words(line: string): readonly string[] {
  const [own = ""] = /^(?:"[^"]*"|'[^']*'|[^#|&;>)])*/.exec(line) ?? [];
  return [...own.matchAll(/(?:"[^"]*"|'[^']*'|\S)+/g)].map(([word]) => word.replaceAll(/^["']|["']$/g, ""));
}

/** Throws what `leasehold` would say of it. */
async function expectCall([name = "", ...args]: readonly string[]): Promise<void> {
  if (name.startsWith("-") || name.startsWith("<")) return;
  expect(Object.keys(commands)).toContain(name);
  const command = (await allCommands()).find((one) => one.name === name);
  if (command !== undefined) readArguments(args, command);
}
