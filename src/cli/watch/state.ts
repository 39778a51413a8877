import { type Data, nameOf, type View } from "../view.js";
import { activeLeases, liveSessions, queuedWaiters } from "../views.js";

/** One list on the screen, and the columns by which it can be sorted. */
export interface Tab {
  readonly title: string;
  readonly view: View;
  readonly sorts: readonly string[];
}

const tabs = [
  { title: "leases", view: activeLeases, sorts: ["key", "held_for", "remaining", "waiters", "owner"] },
  { title: "waiting", view: queuedWaiters, sorts: ["key", "waiting_for", "owner", "blocked_by"] },
  { title: "sessions", view: liveSessions, sorts: ["id", "owner", "leases", "waits", "silent_for"] },
] as const satisfies readonly Tab[];

export const allTabs: readonly Tab[] = tabs;

/** What the user has chosen. */
export interface WatchState {
  readonly tab: number;
  /** Index in the tab's `sorts`. */
  readonly sort: number;
  readonly isReversed: boolean;
  /** Only rows whose key or owner contains this text are shown. */
  readonly filter: string;
  /** Whether the filter is being typed. */
  readonly isTyping: boolean;
  /** How many rows are scrolled out of view. */
  readonly offset: number;
}

export const initialState: WatchState = { tab: 0, sort: 0, isReversed: false, filter: "", isTyping: false, offset: 0 };

/** A key press, as node:readline reports it. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

/** What a key press does. `page`: how many rows fit on the screen. */
export function press(state: WatchState, key: Key, page: number): WatchState | "quit" | "suspend" {
  if (key.ctrl && key.name === "c") return "quit";
  if (key.ctrl && key.name === "z") return "suspend";
  if (state.isTyping) return type(state, key);
  switch (key.name) {
    case "q":
      return "quit";
    case "s":
      return { ...state, sort: (state.sort + 1) % tabOf(state).sorts.length };
    case "r":
      return { ...state, isReversed: !state.isReversed };
    case "tab":
      return show(state, (state.tab + 1) % tabs.length);
    case "down":
    case "j":
      return { ...state, offset: state.offset + 1 };
    case "up":
    case "k":
      return { ...state, offset: state.offset - 1 };
    case "pagedown":
    case "space":
      return { ...state, offset: state.offset + page };
    case "pageup":
      return { ...state, offset: state.offset - page };
    case "escape":
      return { ...state, filter: "", offset: 0 };
  }
  if (key.sequence === "/") return { ...state, isTyping: true };
  const tab = Number(key.sequence) - 1;
  return tabs[tab] === undefined ? state : show(state, tab);
}

function type(state: WatchState, { name, sequence = "", ctrl }: Key): WatchState {
  if (name === "return" || name === "enter") return { ...state, isTyping: false };
  if (name === "escape") return { ...state, isTyping: false, filter: "" };
  if (name === "backspace") return { ...state, filter: [...state.filter].slice(0, -1).join(""), offset: 0 };
  const isText = !ctrl && /^\P{Cc}+$/u.test(sequence);
  return isText ? { ...state, filter: state.filter + sequence, offset: 0 } : state;
}

function show(state: WatchState, tab: number): WatchState {
  return { ...state, tab, sort: 0, isReversed: false, offset: 0 };
}

export function tabOf({ tab }: WatchState): Tab {
  return tabs[tab] ?? tabs[0];
}

/** The column by which the rows are sorted. */
export function sortOf(state: WatchState): string {
  return tabOf(state).sorts[state.sort] ?? "key";
}

/** The rows to show, in order. */
export function arrange(state: WatchState, rows: readonly Data[]): readonly Data[] {
  const { filter, isReversed } = state;
  const column = sortOf(state);
  const sorted = tabOf(state).view.columns.find(({ name }) => name === column);
  const name = sorted === undefined ? column : nameOf(sorted);
  const found = rows.filter(({ key, owner }) => `${key ?? ""}\n${owner ?? ""}`.includes(filter));
  // Numbers begin with the largest, because users look for long holds and long queues. Text begins with A.
  const inOrder = found.sort((a, b) => compare(a[name], b[name]));
  return isReversed ? inOrder.reverse() : inOrder;
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return b - a;
  const [left, right] = [String(a ?? ""), String(b ?? "")];
  return left < right ? -1 : left > right ? 1 : 0;
}
