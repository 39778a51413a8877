// The table of the last run, in docs/reference/compatibility.md between its markers.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../package/workplace.js";
import { type Cell, filesOf } from "./cells.js";
import type { CellRecord } from "./records.js";

const page = join(root, "docs/reference/compatibility.md");
const [begin, end] = ["<!-- begin: npm run matrix -- --write -->", "<!-- end -->"];

export interface Row {
  readonly cell: Cell;
  /** Undefined: not run with the sources as they are. */
  readonly record: CellRecord | undefined;
}

export function table(rows: readonly Row[]): string {
  const head = "| cell | Postgres | Node | through | files | passed | failed | skipped | minutes | day |";
  const lines = rows.map(({ cell, record }) => {
    const files = filesOf(cell).length;
    if (record === undefined)
      return `| ${cell.name} | ${cell.postgres} | ${cell.node} | ${through(cell)} | ${files} | not run | | | | |`;
    const { postgres, node, pooler, passed, failed, skipped, seconds, date } = record;
    const way = pooler ?? through(cell);
    return `| ${cell.name} | ${postgres} | ${node} | ${way} | ${files} | ${passed} | ${failed} | ${skipped} | ${(seconds / 60).toFixed(1)} | ${date} |`;
  });
  return [head, `|---|---|---|---|${"---:|".repeat(5)}---|`, ...lines].join("\n");
}

function through({ through }: Cell): string {
  return { tcp: "nothing", tls: "TLS" }[through as string] ?? through;
}

export function writeTable(rows: readonly Row[]): void {
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page} has lost its markers: ${begin} and ${end}`);
  writeFileSync(page, `${text.slice(0, from)}${begin}\n\n${table(rows)}\n\n${text.slice(to)}`);
}
