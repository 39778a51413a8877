// What earlier runs found out: a file with one JSON object a line, appended to as results come, so that a run that is interrupted goes on.
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../package/workplace.js";
import { type Cell, filesOf } from "./cells.js";
import type { Result } from "./run-cell.js";

export interface CellRecord extends Result {
  readonly cell: string;
  /** Of the day, such as 2026-01-31. */
  readonly date: string;
  /** Of the sources and of the cell's test files. A record counts for as long as none of them changes. */
  readonly sources: string;
}

export class Records {
  readonly #path: string | undefined;
  readonly #all: CellRecord[];

  /** Without a path nothing is known, and nothing is kept. */
  constructor(path: string | undefined) {
    this.#path = path;
    const text = path !== undefined && existsSync(path) ? readFileSync(path, "utf8") : "";
    this.#all = text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  /** The last result of this cell with the sources as they are. */
  find(cell: Cell): CellRecord | undefined {
    const sources = hashOf(cell);
    return this.#all.findLast((record) => record.cell === cell.name && record.sources === sources);
  }

  /** `sources`: of the time when it began. */
  note(cell: Cell, sources: string, result: Result): CellRecord {
    const record = { cell: cell.name, date: new Date().toISOString().slice(0, 10), sources, ...result };
    this.#all.push(record);
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(record)}\n`);
    return record;
  }
}

export function hashOf(cell: Cell): string {
  const hash = createHash("sha256").update(JSON.stringify([cell.postgres, cell.node, cell.through]));
  const sources = ["src", "migrations"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  );
  for (const name of [...sources.filter((name) => /\.(ts|sql)$/.test(name)).sort(), ...filesOf(cell)])
    hash.update(`\n${name}\n`).update(readFileSync(join(root, name)));
  return hash.digest("hex").slice(0, 16);
}
