// What the documents for contributors name is there: a file, a function in it, a mutation. Without this they would be out of date with
// the next change.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const decisions = readdirSync(join(root, "docs/decisions")).filter((name) => name !== "README.md");
const documents = ["ARCHITECTURE.md", "CONTRIBUTING.md", ...decisions.map((name) => `docs/decisions/${name}`)];

/** `src/claim/claim.ts`, `src/claim/claim.ts: Claim.lastWord`, `src/sql/`. */
const named = /\b((?:src|test|scripts|bench|migrations|docs|examples)\/[\w./-]*[\w/])(?:: ([#\w.]+\w))?/g;

interface Named {
  readonly path: string;
  readonly member: string | undefined;
}

function namesIn(document: string): readonly Named[] {
  return [...read(document).matchAll(named)].map(([, path = "", member]) => ({ path, member }));
}

function isThere({ path, member }: Named): boolean {
  if (!existsSync(join(root, path))) return false;
  const last = member?.split(".").at(-1);
  return last === undefined || new RegExp(`(?<!\\w)${last.replace("#", "#?")}(?!\\w)`).test(read(path));
}

test.each(documents)("%s names files and functions that are there", (document) => {
  const names = namesIn(document);
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !isThere(name))).toEqual([]);
});

async function mutationNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const file of readdirSync(join(root, "scripts/mutants"))) {
    const module: Record<string, unknown> = await import(`../scripts/mutants/${file.slice(0, -".ts".length)}.ts`);
    for (const list of Object.values(module)) {
      if (Array.isArray(list)) for (const { name } of list) names.add(name);
    }
  }
  return names;
}

test("the mutations that decisions name are there", async () => {
  const there = await mutationNames();
  const listed = decisions.flatMap((decision) => {
    const [, section = ""] =
      /^- Mutations?: ([\s\S]*?)(?=^- |^#|$(?![\s\S]))/m.exec(read(`docs/decisions/${decision}`)) ?? [];
    return [...section.replaceAll(/\s+/g, " ").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  });
  expect(listed.length).toBeGreaterThan(20);
  expect(listed.filter((name) => !there.has(name))).toEqual([]);
});

test("every decision is in the index, under its title, and has each of its parts", () => {
  const index = read("docs/decisions/README.md");
  for (const name of decisions) {
    const text = read(`docs/decisions/${name}`);
    const [, title = "no title"] = /^# (.+)$/m.exec(text) ?? [];
    expect(index).toContain(`[${title}](${name})`);
    for (const part of ["## Without it", "- Code: ", "- Tests: ", "- Mutations: "]) expect(text, name).toContain(part);
  }
});

test("every rule that a comment cites has a decision", () => {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(ts|sql)$/.test(name),
  );
  const cited = sources.flatMap((name) =>
    [...read(`src/${name}`).matchAll(/\brules? (\d+)\b/g)].map(([, rule]) => Number(rule)),
  );
  expect(cited.length).toBeGreaterThan(0);
  const known = new Set(decisions.map((name) => Number.parseInt(name, 10)));
  expect(cited.filter((rule) => !known.has(rule))).toEqual([]);
});
