// The entries of the log by their kinds.
import type { Entry, NemesisEntry, ProcessEntry, RowEntry } from "../log.js";

export type Hello = Extract<ProcessEntry, { readonly e: "hello" }>;
export type CallEntry = Extract<ProcessEntry, { readonly e: "call" }>;
export type Settled = Extract<ProcessEntry, { readonly e: "settled" }>;
export type Belief = Extract<ProcessEntry, { readonly e: "belief" }>;
export type Lost = Extract<ProcessEntry, { readonly e: "lost" }>;
export type Lag = Extract<ProcessEntry, { readonly e: "lag" }>;
export type Bye = Extract<ProcessEntry, { readonly e: "bye" }>;
export type Uncaught = Extract<ProcessEntry, { readonly e: "uncaught" }>;

export type Round = Extract<NemesisEntry, { readonly e: "round" }>;
export type Fault = Extract<NemesisEntry, { readonly e: "fault" }>;
export type Exit = Extract<NemesisEntry, { readonly e: "exit" }>;
export type ServerClock = Extract<NemesisEntry, { readonly e: "server-clock" }>;
export type Primary = Extract<NemesisEntry, { readonly e: "primary" }>;
export type Connections = Extract<NemesisEntry, { readonly e: "connections" }>;
export type Quiet = Extract<NemesisEntry, { readonly e: "quiet" }>;
export type Probe = Extract<NemesisEntry, { readonly e: "probe" }>;

export type GrantRow = Extract<RowEntry, { readonly table: "grants" }>;
export type LineRow = Extract<RowEntry, { readonly table: "line" }>;
export type SessionRow = Extract<RowEntry, { readonly table: "sessions" }>;
export type WriteRow = Extract<RowEntry, { readonly table: "writes" }>;
export type AccountRow = Extract<RowEntry, { readonly table: "accounts" }>;
export type LeftLease = Extract<RowEntry, { readonly table: "left leases" }>;
export type LeftWaiter = Extract<RowEntry, { readonly table: "left waiters" }>;
export type LeftSession = Extract<RowEntry, { readonly table: "left sessions" }>;
export type LeftConnection = Extract<RowEntry, { readonly table: "left connections" }>;
export type LeftLock = Extract<RowEntry, { readonly table: "left locks" }>;

export function isRow(entry: Entry): entry is RowEntry {
  return entry.p === "database" && entry.e === "row";
}

export function isOfNemesis(entry: Entry): entry is NemesisEntry {
  return entry.p === "nemesis";
}

export function isOfProcess(entry: Entry): entry is ProcessEntry {
  return entry.p !== "nemesis" && entry.p !== "database";
}
