import { printable } from "../printable.js";
import { plain, type Style } from "../style.js";
import { type Data, viewLines } from "../view.js";
import { cut } from "../width.js";
import { allTabs, arrange, sortOf, tabOf, type WatchState } from "./state.js";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What was last read, per tab. */
export interface Reading {
  readonly database: string;
  readonly at: Date;
  readonly rows: readonly (readonly Data[])[];
  /** Why there is no newer reading; null when this is the newest. */
  readonly trouble: string | null;
}

/** Lines that are not rows: title, tabs, headings, help. */
const FIXED_LINES = 4;

/** How many rows fit. */
export function pageOf({ rows }: Size): number {
  return Math.max(1, rows - FIXED_LINES);
}

/** The state, scrolled so that there is no blank below the last row. */
export function scrolled(state: WatchState, reading: Reading, size: Size): WatchState {
  const count = arrange(state, reading.rows[state.tab] ?? []).length;
  return { ...state, offset: Math.max(0, Math.min(state.offset, count - pageOf(size))) };
}

/** The lines of the screen: no more than fit, and none wider than the screen. */
export function frame(state: WatchState, reading: Reading, size: Size, style: Style = plain): string[] {
  const line = (text: string): string => cut(text, size.columns);
  const { view } = tabOf(state);
  const rows = arrange(state, reading.rows[state.tab] ?? []);
  const page = rows.slice(state.offset, state.offset + pageOf(size));
  const empty = state.filter === "" ? view.empty : "Nothing matches the filter.";
  const table = page.length === 0 ? [line(empty)] : viewLines(view, page, { width: size.columns, style });
  const blanks = Array<string>(Math.max(0, size.rows - table.length - (FIXED_LINES - 1))).fill("");
  const title = `leasehold  ${printable(reading.database)}  ${reading.at.toTimeString().slice(0, 8)}`;
  const { trouble } = reading;
  return [
    style(trouble === null ? "heading" : "bad", line(trouble === null ? title : `${title}  ${printable(trouble)}`)),
    line(tabLine(state, reading)),
    ...table,
    ...blanks,
    style("faint", line(helpLine(state, rows.length, page.length))),
  ].slice(0, size.rows);
}

function tabLine(state: WatchState, { rows }: Reading): string {
  const titles = allTabs.map(({ title }, index) => {
    const text = `${index + 1} ${title} ${rows[index]?.length ?? 0}`;
    return index === state.tab ? `[${text}]` : ` ${text} `;
  });
  const filter = state.filter === "" || state.isTyping ? "" : `  filter: ${state.filter}`;
  return `${titles.join(" ")}${filter}  sort: ${sortOf(state)}${state.isReversed ? " (reversed)" : ""}`;
}

function helpLine(state: WatchState, all: number, shown: number): string {
  if (state.isTyping) return `/${state.filter}_   Enter: keep the filter   Esc: drop it`;
  const range = shown === all ? "" : `   ${state.offset + 1}-${state.offset + shown} of ${all}`;
  return `q quit  s sort  r reverse  / filter  1-3 lists  arrows scroll${range}`;
}
