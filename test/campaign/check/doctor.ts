// For the tests of the checker: one entry of an honest history is made another, and the checker must object to that.
import { expect } from "vitest";
import type { Entry, RowEntry } from "../log.js";
import { check } from "./check.js";
import type { PromiseName } from "./verdict.js";

type Change = Readonly<Record<string, unknown>>;

/** The same history with one entry changed, or left out. */
export function doctored(
  entries: readonly Entry[],
  isMeant: (entry: Entry) => boolean,
  change: Change | ((entry: Entry) => Change) | null,
): Entry[] {
  const meant = entries.filter(isMeant);
  expect(meant, "the entry to change").toHaveLength(1);
  return entries.flatMap((entry) => {
    if (entry !== meant[0]) return [entry];
    if (change === null) return [];
    return [{ ...entry, ...(typeof change === "function" ? change(entry) : change) } as Entry];
  });
}

/** What the checker objects to, as "P1: ...". */
export function objections(entries: Iterable<Entry>): string[] {
  return check(entries).violations.map(({ promise, text }) => `${promise}: ${text}`);
}

/** Which promises are broken by the checker's word, each once. */
export function broken(entries: Iterable<Entry>): PromiseName[] {
  return [...new Set(check(entries).violations.map(({ promise }) => promise))];
}

export function isRowOf<Table extends RowEntry["table"]>(
  table: Table,
  isMeant: (row: Extract<RowEntry, { readonly table: Table }>) => boolean,
): (entry: Entry) => boolean {
  return (entry) => {
    if (entry.p !== "database" || entry.e !== "row" || entry.table !== table) return false;
    return isMeant(entry as Extract<RowEntry, { readonly table: Table }>);
  };
}

/** An entry of a process. */
export function isSaid(process: string, what: Change): (entry: Entry) => boolean {
  return (entry) => {
    if (entry.p !== process) return false;
    const said = entry as unknown as Change;
    return Object.entries(what).every(([name, value]) => said[name] === value);
  };
}
