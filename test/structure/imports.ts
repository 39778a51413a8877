// Who imports whom in src, by reading the files. Type imports count: whoever reads one file must read the other.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../src/", import.meta.url));

export interface Import {
  /** Paths below src, such as `hold/lease.ts`. */
  readonly from: string;
  readonly to: string;
}

export function sourceFiles(): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => /\.tsx?$/.test(name))
    .sort();
}

export function importsOf(file: string): readonly Import[] {
  const specifiers = specifiersOf(file).filter((specifier) => specifier.startsWith("."));
  return specifiers.map((specifier) => {
    const path = posix.join(posix.dirname(file), specifier);
    const to = [path.replace(/\.js$/, ".ts"), path.replace(/\.js$/, ".tsx")].find((one) => existsSync(join(root, one)));
    if (to === undefined) throw new Error(`${file} imports ${specifier}, which this test does not find`);
    return { from: file, to };
  });
}

/** The packages whose names a file imports: neither of Node nor of src. */
export function importsOfPackages(file: string): readonly string[] {
  return specifiersOf(file)
    .filter((specifier) => !/^(\.|node:)/.test(specifier))
    .map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier);
}

function specifiersOf(file: string): readonly string[] {
  const code = readFileSync(join(root, file), "utf8").replace(/^\s*(\*|\/\*|\/\/).*$/gm, "");
  const found = [
    ...code.matchAll(/^(?:import|export)\b[^;"']*?\bfrom "([^"]+)"/gm),
    ...code.matchAll(/^import "([^"]+)"/gm),
    ...code.matchAll(/\bimport\(\s*"([^"]+)"/g),
  ];
  return [...new Set(found.flatMap(([, specifier]) => specifier ?? []))];
}

/** For each group of files that reach each other by imports a shortest cycle: "a.ts > b.ts > a.ts". */
export function cycles(imports: readonly Import[]): readonly string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const told = new Set<string>();
  return [...next.keys()].sort().flatMap((start) => {
    if (told.has(start)) return [];
    const path = shortestWayBack(start, next);
    for (const file of path) told.add(file);
    return path.length === 0 ? [] : [[...path, start].join(" > ")];
  });
}

/** The files on the way, beginning with `start`; none if no way leads back. */
function shortestWayBack(start: string, next: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const reached = new Map<string, readonly string[]>([[start, [start]]]);
  for (const [file, path] of reached) {
    for (const to of next.get(file) ?? []) {
      if (to === start) return path;
      if (!reached.has(to)) reached.set(to, [...path, to]); // a map is walked through to what was added meanwhile
    }
  }
  return [];
}
