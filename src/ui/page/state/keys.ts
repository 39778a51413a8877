import type { Row, Store } from "./store.js";

export type KeyState =
  | "held"
  | "shared"
  | "semaphore"
  | "revoked"
  | "cooling"
  | "blocked"
  | "expired"
  | "orphaned"
  | "waited for";

export const keyStates: readonly KeyState[] = [
  "held",
  "shared",
  "semaphore",
  "revoked",
  "cooling",
  "blocked",
  "expired",
  "orphaned",
  "waited for",
];

/** A key that is not free, or that somebody waits for. */
export interface KeyRow {
  readonly key: string;
  readonly state: KeyState;
  /** Of several who share it, the one who came first. */
  readonly owner: string | null;
  readonly holders: number;
  readonly since: number | null;
  /** When it is free at the latest unless somebody renews. */
  readonly freeAt: number | null;
  readonly ttlMs: number | null;
  /** The last that was given for it, as text. */
  readonly fence: string | null;
  readonly waiters: number;
  readonly isBlocked: boolean;
}

/** One row for each key, from the rows of its holders and of those that wait for it. */
export function keyRows(store: Store): readonly KeyRow[] {
  const found = new Map<string, KeyRow>();
  for (const lease of store.rows("leases").values()) {
    const key = String(lease.key);
    const row = { ...toKey(lease), isBlocked: isBlocked(store, lease) };
    const before = found.get(key);
    found.set(key, before === undefined ? row : joined(before, row));
  }
  const waiters = new Map<string, number>();
  for (const wait of store.rows("waits").values()) {
    if (wait.isAlive === true) waiters.set(String(wait.key), (waiters.get(String(wait.key)) ?? 0) + 1);
  }
  for (const [key, count] of waiters) {
    const row = found.get(key) ?? { ...nobody, key };
    found.set(key, { ...row, waiters: count });
  }
  return [...found.values()];
}

const nobody: Omit<KeyRow, "key"> = {
  state: "waited for",
  owner: null,
  holders: 0,
  since: null,
  freeAt: null,
  ttlMs: null,
  fence: null,
  waiters: 0,
  isBlocked: false,
};

function toKey(lease: Row<"leases">): Omit<KeyRow, "isBlocked"> {
  const isHeld = lease.state === "held" || lease.state === "revoked";
  return {
    key: String(lease.key),
    state: stateOf(lease),
    owner: textOf(lease.owner),
    holders: isHeld ? 1 : 0,
    since: isHeld ? numberOf(lease.acquiredAt) : null,
    freeAt: numberOf(lease.freeAt),
    ttlMs: numberOf(lease.ttlMs),
    fence: textOf(lease.fence),
    waiters: 0,
  };
}

/** Lockers lock rows for moments, which is nothing to see. */
const PASSING_MS = 1_000;

function isBlocked(store: Store, { blockingPid, blockingTransaction }: Row<"leases">): boolean {
  if (blockingPid === null) return blockingTransaction !== null;
  const since = numberOf(store.rows("blockers").get(String(blockingPid))?.transactionAt);
  return since === null || store.at - since >= PASSING_MS;
}

export function stateOf({ state, mode }: Pick<Row<"leases">, "state" | "mode">): KeyState {
  if (state === "held" && (mode === "shared" || mode === "semaphore")) return mode;
  return keyStates.find((one) => one === state) ?? "blocked";
}

/** Which of several says most about a key. */
const ranks: readonly KeyState[] = [
  "revoked",
  "held",
  "shared",
  "semaphore",
  "cooling",
  "blocked",
  "orphaned",
  "expired",
  "waited for",
];

function joined(a: KeyRow, b: KeyRow): KeyRow {
  const isFirst = a.holders > 0 && (b.holders === 0 || (a.since ?? 0) <= (b.since ?? 0));
  const [first, second] = isFirst ? [a, b] : [b, a];
  return {
    ...first,
    state: ranks.indexOf(a.state) <= ranks.indexOf(b.state) ? a.state : b.state,
    holders: a.holders + b.holders,
    freeAt: a.freeAt === null || b.freeAt === null ? (a.freeAt ?? b.freeAt) : Math.max(a.freeAt, b.freeAt),
    ttlMs: first.ttlMs ?? second.ttlMs,
    fence: larger(a.fence, b.fence),
    isBlocked: a.isBlocked || b.isBlocked,
  };
}

function larger(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return BigInt(a) >= BigInt(b) ? a : b;
}

export function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

export function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

export type KeySort = "key" | "state" | "owner" | "since" | "freeAt" | "fence" | "waiters";

export interface KeyFilter {
  /** Part of a key or an owner. */
  readonly text: string;
  readonly prefix: string;
  /** Empty: all. */
  readonly states: ReadonlySet<KeyState>;
}

export function filtered(rows: readonly KeyRow[], { text, prefix, states }: KeyFilter): readonly KeyRow[] {
  const wanted = text.toLowerCase();
  return rows.filter(
    ({ key, owner, state }) =>
      key.startsWith(prefix) &&
      (states.size === 0 || states.has(state)) &&
      (wanted === "" || key.toLowerCase().includes(wanted) || (owner ?? "").toLowerCase().includes(wanted)),
  );
}

/** Missing values come last, whichever way it is sorted. */
export function sorted(rows: readonly KeyRow[], by: KeySort, isDescending: boolean): readonly KeyRow[] {
  const sign = isDescending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [sortValue(a, by), sortValue(b, by)];
    if (x === null || y === null) return x === y ? compare(a.key, b.key) : x === null ? 1 : -1;
    return sign * compare(x, y) || compare(a.key, b.key);
  });
}

function sortValue(row: KeyRow, by: KeySort): string | number | bigint | null {
  const value = row[by];
  return by === "fence" && typeof value === "string" ? BigInt(value) : value;
}

function compare<Value extends string | number | bigint>(a: Value, b: Value): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What keys begin with, up to their first colon or slash: the most frequent first. */
export function prefixesOf(rows: readonly KeyRow[], most: number): readonly string[] {
  const counts = new Map<string, number>();
  for (const { key } of rows) {
    const prefix = /^[^:/]{1,60}[:/]/.exec(key)?.[0];
    if (prefix !== undefined) counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a, n], [b, m]) => m - n || compare(a, b))
    .slice(0, most)
    .map(([prefix]) => prefix);
}
