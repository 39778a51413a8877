// Histories that are made up, to see whether the judge notices what is wrong with them.

import type { Verdict } from "../../cluster/findings.js";
import type {
  Attempt,
  Belief,
  Call,
  FaultFacts,
  FinalState,
  Grant,
  History,
  Loss,
  WrittenRow,
} from "../../cluster/history.js";
import { accounts, counters, openingBalance } from "../../cluster/history.js";
import { judge } from "../../cluster/judge.js";

/** With nothing wrong in it, and nothing at all. */
const nothing: History = { grants: [], beliefs: [], losses: [], calls: [], attempts: [], stalls: [] };

export const sync: FaultFacts = { mode: "sync", mayLose: true, from: 0, to: 100_000 };
export const async: FaultFacts = { ...sync, mode: "async" };
/** A fault over which asynchronous replication loses nothing, either. */
export const harmless: FaultFacts = { ...async, mayLose: false };

/** The fence `number` of the server that has gone through so many promotions. */
export function fence(number: number, promotions = 1): bigint {
  return (BigInt(promotions) << 48n) + BigInt(number);
}

export function grant(change: Partial<Grant> = {}): Grant {
  return {
    key: "a",
    fence: fence(1),
    mode: "exclusive",
    capacity: 1,
    worker: "one",
    route: "haproxy",
    asked: 0,
    at: 1,
    ...change,
  };
}

export function belief(from: number, to: number, change: Partial<Grant> = {}): Belief {
  return { grant: grant(change), from, to };
}

export function loss(at: number, change: Partial<Grant> = {}): Loss {
  return { grant: grant(change), at, reason: "expired" };
}

export function call(from: number, to: number | null, until = to ?? 0): Call {
  return { name: "release", worker: "one", from, to, until, limitMs: 5_000 };
}

export function attempt(change: Partial<Attempt> = {}): Attempt {
  return {
    id: "one:1",
    kind: "increment",
    worker: "one",
    from: 10,
    to: 11,
    outcome: "committed",
    fences: {},
    values: {},
    ...change,
  };
}

/** Of `counter:1`: each one more than before, unless it says otherwise. */
export function rows(...changes: readonly Partial<WrittenRow>[]): readonly WrittenRow[] {
  return changes.map((change, index) => ({
    id: `one:${index + 1}`,
    key: "counter:1",
    version: index + 1,
    fence: fence(index + 1),
    was: index,
    value: index + 1,
    ...change,
  }));
}

/** With the balances that the rows add up to, unless they are given. */
export function final(
  written: readonly WrittenRow[] = [],
  balances: Readonly<Record<string, number>> = {},
): FinalState {
  const opening = Object.fromEntries([
    ...accounts.map((key) => [key, openingBalance] as const),
    ...counters.map((key) => [key, 0] as const),
    ...written.map(({ key, value }) => [key, value] as const),
  ]);
  return { rows: written, balances: { ...opening, ...balances } };
}

export function verdict(facts: FaultFacts, history: Partial<History>, state: FinalState = final()): Found {
  const { violations, limits } = judge({ ...nothing, ...history }, state, facts);
  return { violations, limits };
}

export type Found = Pick<Verdict, "violations" | "limits">;

export const noLimits: Verdict["limits"] = { believers: 0, oldGrants: 0, lostWrites: 0, fromLost: 0 };
export const innocent: Found = { violations: [], limits: noLimits };

/** Which promises were broken. */
export function broken(history: Partial<History>, state: FinalState = final()): readonly string[] {
  const { counts } = judge({ ...nothing, ...history }, state, sync);
  return Object.entries(counts).flatMap(([kind, count]) => (count > 0 ? [kind] : []));
}

export function guilty(...violations: readonly string[]): Found {
  return { violations, limits: noLimits };
}
