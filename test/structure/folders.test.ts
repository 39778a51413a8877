// The order of the folders of src: a file imports from its own folder and from those that stand before it here. Since that is an
// order, no cycle of folders is possible. Pure reading: no Postgres.
import { describe, expect, test } from "vitest";
import { cycles, importsOf, sourceFiles } from "./imports.js";

/** Lowest first. A folder below another one is named where it has a place of its own; the rest belongs to the one above. */
const order = [
  "runtime",
  "errors",
  "guard",
  "api",
  "config",
  "advisory-lock",
  "store",
  "observe",
  "claim",
  "hold",
  "acquire",
  "postgres/connection",
  "postgres/session",
  "postgres/acts",
  "postgres/schema",
  "postgres",
  "memory",
  "instances",
  "locker",
  "config-file",
  "testing",
  "drizzle",
  "otel",
  "ui",
  "cli",
  "", // the entries, directly in src
];

const files = sourceFiles();
const imports = files.flatMap(importsOf);

/** The folder of a file that is in the order; undefined if none is. */
function folderOf(file: string): string | undefined {
  const matching = order.filter((folder) => (folder === "" ? !file.includes("/") : file.startsWith(`${folder}/`)));
  return matching.sort((a, b) => b.length - a.length)[0];
}

function rank(file: string): number {
  return order.indexOf(folderOf(file) ?? "");
}

const name = (file: string) => folderOf(file) || "src";

describe("the folders of src", () => {
  test("each has its place in the order, and each that is in the order is there", () => {
    expect(files.filter((file) => folderOf(file) === undefined)).toEqual([]);
    expect(order.filter((folder) => !files.some((file) => folderOf(file) === folder))).toEqual([]);
  });

  test("each imports only from those before it", () => {
    expect(imports.length).toBeGreaterThan(files.length); // it did read them
    const against = imports.filter(({ from, to }) => rank(from) < rank(to));
    expect(against.map(({ from, to }) => `${name(from)} < ${name(to)}: ${from} imports ${to}`).sort()).toEqual([]);
  });

  test("the page of the inspector, which runs in a browser, and its server share protocol.ts alone", () => {
    const isPage = (file: string) => file.startsWith("ui/page/");
    const across = imports.filter(({ from, to }) => isPage(from) !== isPage(to));
    expect(across.length).toBeGreaterThan(3);
    expect(across.filter(({ from, to }) => !isPage(from) || to !== "ui/protocol.ts")).toEqual([]);
    expect(importsOf("ui/protocol.ts")).toEqual([]);
  });

  test("within one, files do not import each other in a cycle", () => {
    expect(cycles(imports.filter(({ from, to }) => folderOf(from) === folderOf(to)))).toEqual([]);
  });

  test("a cycle would be found", () => {
    const edge = (from: string, to: string) => ({ from, to });
    expect(cycles([edge("a", "b"), edge("b", "c"), edge("c", "b"), edge("d", "d")])).toEqual(["b > c > b", "d > d"]);
  });
});
