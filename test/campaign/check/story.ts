// Builds the log of a round that went as it should, for the tests of the checker. Times are in milliseconds since the round began.
import type { Entry, Grant, Limit, ProcessEntry, RowEntry, Terms } from "../log.js";

/** What the monotonic clock and the wall clock showed when the round began, in microseconds. */
const MONOTONIC = 5_000_000_000;
const WALL = 1_700_000_000_000_000;

export const at = (ms: number): number => MONOTONIC + ms * 1_000;
export const wall = (ms: number): number => WALL + ms * 1_000;

type Columns = Omit<Extract<RowEntry, { readonly table: "grants" }>, "p" | "e" | "table">;

export interface Held {
  readonly process: string;
  readonly grant: Grant;
  readonly token: string;
  /** The first and the newest version of its row. */
  readonly first: Columns;
  row: Columns;
}

export interface Waiting {
  readonly process: string;
  readonly key: string;
  readonly token: string;
  readonly ticket: string;
  readonly terms: Terms;
  readonly call: number;
  readonly session: number | null;
  aliveUntil: number;
}

export interface Asked {
  readonly terms?: Terms;
  readonly ttlMs?: number;
  readonly minHoldMs?: number;
  readonly maxHoldMs?: number;
  readonly call?: "acquire" | "tryAcquire";
  /** How long the call took, in milliseconds, default 2; the grant is decided in its middle. */
  readonly tookMs?: number;
  /** Default: a larger one than all before. */
  readonly fence?: string;
}

const alone: Terms = { mode: "exclusive" };

export class Story {
  readonly entries: Entry[] = [];
  node = "one";
  #fence = 1_000;
  #id = 0;
  #calls = 0;
  #locks = 0;
  #tokens = 0;
  #tickets = 0;
  #faults = 0;
  readonly #sessions = new Map<string, number>();
  readonly #roots = new Map<string, Columns>();

  constructor(limits: readonly Limit[] = [], lengthMs = 60_000) {
    this.entries.push({ p: "nemesis", t: at(0), e: "round", round: 1, seed: 7, scene: "plain", limits });
    for (let ms = 0; ms <= lengthMs; ms += 1_000)
      this.entries.push({ p: "nemesis", t: at(ms), e: "clock", wall: wall(ms) });
    this.entries.push({ p: "nemesis", t: at(0), e: "primary", node: this.node, isLagging: false });
  }

  tell(...entries: readonly Entry[]): void {
    this.entries.push(...entries);
  }

  hello(process: string, ms: number, client: "node" | "python" | "psql" = "node"): void {
    const session = 100 + this.#sessions.size;
    this.#sessions.set(process, session);
    this.tell({
      p: process,
      t: at(ms),
      e: "hello",
      client,
      pid: 4_000 + session,
      takeoverDelayMs: 5_000,
      requestTimeoutMs: 5_000,
      presence: true,
      application: `leasehold ${process}`,
    });
  }

  /** A heartbeat of the session of a process; the first registers it. */
  beat(process: string, ms: number, pid?: number): void {
    const sessionId = this.sessionOf(process);
    this.#id += 1;
    this.tell({
      p: "database",
      node: this.node,
      e: "row",
      table: "sessions",
      id: this.#id,
      op: "U",
      at: wall(ms),
      xid: String(this.#id),
      committedAt: wall(ms),
      sessionId,
      owner: this.ownerOf(process),
      pid: pid ?? 9_000 + sessionId,
      seenAt: wall(ms),
    });
  }

  beats(process: string, from: number, to: number): void {
    for (let ms = from; ms <= to; ms += 1_000) this.beat(process, ms);
  }

  sessionOf(process: string): number {
    return this.#sessions.get(process) ?? 0;
  }

  ownerOf(process: string): string {
    return `host:${4_000 + this.sessionOf(process)}`;
  }

  /** Begins a call; `settle` ends it. */
  call(process: string, ms: number, call: Partial<Extract<ProcessEntry, { readonly e: "call" }>>): number {
    this.#calls += 1;
    this.tell({ p: process, t: at(ms), e: "call", id: this.#calls, call: "check", keys: [], boundMs: 5_000, ...call });
    return this.#calls;
  }

  settle(
    process: string,
    ms: number,
    id: number,
    settled: Partial<Extract<ProcessEntry, { readonly e: "settled" }>> = {},
  ): void {
    this.tell({ p: process, t: at(ms), e: "settled", id, outcome: "done", ...settled });
  }

  /** A call that is granted the key at once. */
  grant(process: string, key: string, ms: number, asked: Asked = {}): Held {
    const { tookMs = 2, call = "acquire", terms = alone, ttlMs = 10_000 } = asked;
    const id = this.call(process, ms, { call, keys: [key], terms, ttlMs });
    const held = this.recordGrant(process, key, ms + tookMs / 2, asked);
    this.settle(process, ms + tookMs, id, { grants: [held.grant] });
    return held;
  }

  /** The rows of a grant, without a call. */
  recordGrant(process: string, key: string, ms: number, asked: Asked = {}, token: string = this.token()): Held {
    const { terms = alone, ttlMs = 10_000, minHoldMs = 0, maxHoldMs } = asked;
    this.#fence += 10;
    const fence = asked.fence ?? String(this.#fence);
    this.#locks += 1;
    const grant: Grant = { lock: String(this.#locks), key, fence, token: null, ttlMs, ...terms };
    const isShare = terms.mode !== "exclusive";
    const row = this.#row(key, ms, {
      kind: isShare ? "share" : "lease",
      op: isShare || !this.#roots.has(key) ? "I" : "U",
      token,
      fence,
      owner: this.ownerOf(process),
      sessionId: this.sessionOf(process),
      takeoverMs: 5_000,
      ttlMs,
      minHoldMs,
      maxHoldUntil: maxHoldMs === undefined ? null : wall(ms + maxHoldMs),
      renewedAt: wall(ms),
      expiresAt: wall(ms + ttlMs),
      weight: isShare ? (terms.weight ?? 1) : null,
      capacity: terms.capacity ?? null,
      queued: isShare ? null : false,
    });
    const root = { op: this.#roots.has(key) ? "U" : "I", fence, queued: true, releasedAt: wall(ms) } as const;
    if (isShare) this.#row(key, ms, root, { xid: row.xid });
    return { process, grant, token, first: row, row };
  }

  token(): string {
    this.#tokens += 1;
    return `00000000-0000-4000-8000-${String(this.#tokens).padStart(12, "0")}`;
  }

  /** `inMs`: how long after the call the row is written. */
  renew(held: Held, ms: number, inMs = 1): void {
    const id = this.call(held.process, ms, { call: "renew", keys: [held.grant.key], lock: held.grant.lock });
    this.recordRenewal(held, ms + inMs);
    this.settle(held.process, ms + inMs + 1, id);
  }

  recordRenewal(held: Held, ms: number, changes: Partial<Columns> = {}): void {
    const renewed = { op: "U", renewedAt: wall(ms), expiresAt: wall(ms + held.grant.ttlMs) } as const;
    held.row = this.#row(held.grant.key, ms, { ...held.row, ...renewed }, changes);
  }

  release(held: Held, ms: number): void {
    const id = this.call(held.process, ms, { call: "release", keys: [held.grant.key], lock: held.grant.lock });
    this.recordRelease(held, ms + 1);
    this.settle(held.process, ms + 2, id);
  }

  recordRelease(held: Held, ms: number, changes: Partial<Columns> = {}): void {
    const { row } = held;
    if (row.kind === "share") {
      this.#row(held.grant.key, ms, { ...row, op: "D" }, changes);
    } else {
      const holdUntil = row.minHoldMs > 0 ? (row.renewedAt ?? 0) + row.minHoldMs * 1_000 : null;
      const free = { op: "U", token: null, sessionId: null, releasedAt: wall(ms), holdUntil } as const;
      this.#row(held.grant.key, ms, { ...row, ...free }, changes);
    }
  }

  /** What the process believes, from then to then. */
  believe({ process, grant: { lock } }: Held, from: number, to: number, everyMs = 100): void {
    for (let ms = from; ms <= to; ms += everyMs) this.belief(process, lock, ms, true);
  }

  belief(process: string, lock: string, ms: number, held: boolean): void {
    this.tell({ p: process, t: at(ms), e: "belief", lock, held, asserts: held, until: at(ms) + 3 });
  }

  lose(held: Held, ms: number, reason = "expired"): void {
    this.tell({ p: held.process, t: at(ms), e: "lost", lock: held.grant.lock, reason });
    this.belief(held.process, held.grant.lock, ms + 1, false);
  }

  /** A call that does not get the key at once, and stands in line. */
  enqueue(process: string, key: string, ms: number, terms: Terms = alone): Waiting {
    const call = this.call(process, ms, { call: "acquire", keys: [key], terms, waitMs: 30_000, boundMs: 35_000 });
    this.#tickets += 1;
    const token = this.token();
    const session = this.sessionOf(process);
    const ticket = String(this.#tickets);
    const waiting = { process, key, token, ticket, terms, call, session, aliveUntil: ms + 3_001 };
    this.#line(waiting, "I", ms + 1);
    return waiting;
  }

  /** It looks again, every second. */
  wait(waiting: Waiting, from: number, to: number): void {
    for (let ms = from; ms <= to; ms += 1_000) {
      waiting.aliveUntil = ms + 3_000;
      this.#line(waiting, "U", ms);
    }
  }

  /** It is its turn: the entry goes, and the grant is made in the same transaction. */
  serve(waiting: Waiting, ms: number, asked: Asked = {}): Held {
    const { process, key, terms, token, call } = waiting;
    this.#line(waiting, "D", ms, String(this.#id + 2));
    const held = this.recordGrant(process, key, ms, { terms, ...asked }, token);
    this.settle(process, ms + 2, call, { grants: [held.grant] });
    return held;
  }

  leave(waiting: Waiting, ms: number): void {
    this.#line(waiting, "D", ms);
    this.settle(waiting.process, ms + 1, waiting.call, { outcome: "error", code: "wait-timeout" });
  }

  /** A guarded transaction that writes at `ms` and is committed at once. */
  write(
    held: Held,
    ms: number,
    was: number,
    value: number,
    changes: Partial<{ committedAt: number; isShare: boolean }> = {},
  ): void {
    const { key, fence } = held.grant;
    const id = this.call(held.process, ms - 1, { call: "transaction", keys: [key], lock: held.grant.lock });
    this.#id += 1;
    this.tell({
      p: "database",
      node: this.node,
      e: "row",
      table: "writes",
      id: this.#id,
      op: "I",
      at: wall(ms),
      xid: String(this.#id),
      committedAt: wall(ms + 0.1),
      key,
      fence,
      isShare: held.row.kind === "share",
      was,
      value,
      worker: held.process,
      ...changes,
    });
    this.settle(held.process, ms + 1, id);
  }

  account(key: string, openingBalance: number, value: number): void {
    this.tell({ p: "database", node: this.node, e: "row", table: "accounts", key, openingBalance, value });
  }

  fault(
    fault: Extract<Entry, { readonly e: "fault" }>["fault"],
    from: number,
    to: number,
    on: readonly string[] = [],
    key?: string,
  ): void {
    this.#faults += 1;
    const about = {
      p: "nemesis",
      e: "fault",
      id: this.#faults,
      fault,
      on,
      ...(key === undefined ? {} : { key }),
    } as const;
    this.tell({ ...about, t: at(from), phase: "begin" }, { ...about, t: at(to), phase: "end" });
  }

  kill(process: string, ms: number): void {
    this.fault("kill", ms, ms, [process]);
    this.tell({ p: "nemesis", t: at(ms), e: "exit", of: process, code: null, signal: "SIGKILL", isWanted: true });
  }

  bye(process: string, ms: number): void {
    this.tell({ p: process, t: at(ms), e: "bye", open: [] });
    this.tell({ p: "nemesis", t: at(ms + 50), e: "exit", of: process, code: 0, signal: null, isWanted: true });
  }

  #line(waiting: Waiting, op: "I" | "U" | "D", ms: number, xid?: string): void {
    const { process, key, token, ticket, terms, session } = waiting;
    this.#id += 1;
    const isShare = terms.mode !== "exclusive";
    this.tell({
      p: "database",
      node: this.node,
      e: "row",
      table: "line",
      id: this.#id,
      op,
      at: wall(ms),
      xid: xid ?? String(this.#id),
      committedAt: wall(ms + 0.1),
      key,
      ticket,
      token,
      sessionId: session,
      owner: this.ownerOf(process),
      weight: isShare ? (terms.weight ?? 1) : null,
      capacity: terms.capacity ?? null,
      aliveUntil: wall(waiting.aliveUntil),
    });
  }

  /** A version of a row: `columns` of it, whatever it is a copy of, and what else shall be in it. */
  #row(key: string, ms: number, columns: Partial<Columns>, changes: Partial<Columns> = {}): Columns {
    this.#id += 1;
    const row: Columns = {
      op: "U",
      kind: "lease",
      token: null,
      fence: "0",
      owner: null,
      sessionId: null,
      ttlMs: 0,
      takeoverMs: null,
      minHoldMs: 0,
      maxHoldUntil: null,
      renewedAt: null,
      expiresAt: null,
      holdUntil: null,
      revokedAt: null,
      releasedAt: null,
      weight: null,
      capacity: null,
      queued: false,
      ...columns,
      node: this.node,
      key,
      id: this.#id,
      at: wall(ms),
      xid: String(this.#id),
      committedAt: wall(ms + 0.1),
      ...changes,
    };
    if (row.kind === "lease") this.#roots.set(key, row);
    this.tell({ p: "database", e: "row", table: "grants", ...row });
    return row;
  }
}
