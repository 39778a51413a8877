// Every relative link leads somewhere: to a file that is there, in the package, too, and to a heading that it has.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Page, proseOf, readPage, userPages } from "../../support/pages.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const others = [
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "bench/README.md",
  "examples/store/README.md",
];
const pages = [...userPages(), ...others.map(readPage)];

test.each(pages.map((page) => [page.path, page] as const))("%s has no dead link", (_, page) => {
  expect(linksOf(page).filter((link) => !isAlive(page, link))).toEqual([]);
});

test("every page of the documentation can be reached from docs/README.md", () => {
  const reached = new Set(["docs/README.md"]);
  for (const path of reached) {
    const page = pages.find((one) => one.path === path);
    for (const link of page === undefined ? [] : linksOf(page)) reached.add(target(page?.path ?? "", link).path);
  }
  expect(pages.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
});

test("what is packed links to what is packed: a reader of node_modules has nothing else", () => {
  const packed = packedFiles();
  const pagesInPackage = packed.filter((path) => path.endsWith(".md")).map(readPage);
  expect(pagesInPackage.length).toBeGreaterThan(50);
  const holds = (path: string) => packed.some((file) => file === path || file.startsWith(`${path}/`));
  const dead = pagesInPackage.flatMap((page) =>
    linksOf(page)
      .filter((link) => !holds(target(page.path, link).path))
      .map((link) => `${page.path}: ${link}`),
  );
  expect(dead).toEqual([]);
});

test("headings get the anchors that GitHub gives them", () => {
  expect([...anchorsOf("# debug()\n## `a` and *B's* c_d\n## Twice\n## Twice\n")]).toEqual([
    "debug",
    "a-and-bs-c_d",
    "twice",
    "twice-1",
  ]);
});

/** By the list `files` of package.json; `dist` is among them only where it is built. */
function packedFiles(): readonly string[] {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const output = execFileSync("npm", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const [{ files }] = JSON.parse(output) as [{ readonly files: readonly { readonly path: string }[] }];
  return files.map(({ path }) => path);
}

/** All but those to other hosts. */
function linksOf(page: Page): readonly string[] {
  const links = [
    ...proseOf(page)
      .replaceAll(/`[^`\n]*`/g, "")
      .matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g),
  ];
  return links.map(([, link = ""]) => link).filter((link) => !/^[a-z]+:/.test(link));
}

function isAlive(page: Page, link: string): boolean {
  const { path, anchor } = target(page.path, link);
  if (!existsSync(join(root, path))) return false;
  return anchor === undefined || (path.endsWith(".md") && anchorsOf(readPage(path).text).has(anchor));
}

function target(from: string, link: string): { readonly path: string; readonly anchor: string | undefined } {
  const [file = "", anchor] = link.split("#");
  return { path: file === "" ? from : join(dirname(from), file), anchor };
}

function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = ""]) => id));
  for (const [, title = ""] of proseOf({ path: "", text }).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = slugOf(title);
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What is shown, in lower case, without punctuation, with hyphens for blanks. */
function slugOf(title: string): string {
  const shown = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/\\(.)/g, "$1");
  return shown
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}
