// The whole log, put in order: processes, keys, faults, clocks.
import type { Entry, Limit } from "../log.js";
import {
  type Connections,
  type Fault,
  type GrantRow,
  isOfNemesis,
  isRow,
  type LeftConnection,
  type LeftLease,
  type LeftLock,
  type LeftSession,
  type LeftWaiter,
  type Primary,
  type Probe,
  type Quiet,
  type Round,
  type ServerClock,
  type SessionRow,
} from "./entries.js";
import { KeyHistory } from "./keys.js";
import { Process } from "./processes.js";
import { type ClockEntry, Times } from "./times.js";
import type { Report } from "./verdict.js";

export interface FaultSpan {
  readonly begin: Fault;
  /** Infinite: it was not ended. */
  readonly until: number;
  readonly end: Fault | undefined;
}

export class History {
  readonly processes: ReadonlyMap<string, Process>;
  readonly keys: ReadonlyMap<string, KeyHistory>;
  readonly sessions: ReadonlyMap<number, readonly SessionRow[]>;
  readonly times: Times;
  readonly limits: ReadonlySet<Limit>;
  readonly round: Round | undefined;
  readonly faults: readonly FaultSpan[];
  readonly primaries: readonly Primary[];
  readonly connections: readonly Connections[];
  readonly probes: readonly Probe[];
  readonly quiet: Quiet | undefined;
  readonly left: Left;
  /** The last moment of the log. */
  readonly end: number;
  /** From when on another server may have been primary than at first; infinite: never. */
  readonly failoverAt: number;
  readonly hasRows: boolean;
  readonly #byPid = new Map<number, Process | null>();

  constructor(entries: Iterable<Entry>, report: Report) {
    const processes = new Map<string, Process>();
    const keys = new Map<string, KeyHistory>();
    const sessions = new Map<number, SessionRow[]>();
    const spans = new Map<number, { begin: Fault; until: number; end: Fault | undefined }>();
    const nemesisClocks: ClockEntry[] = [];
    const clocks: ClockEntry[] = [];
    const steps: ServerClock[] = [];
    const primaries: Primary[] = [];
    const connections: Connections[] = [];
    const probes: Probe[] = [];
    const left: Left = { leases: [], waiters: [], sessions: [], connections: [], locks: [] };
    let round: Round | undefined;
    let quiet: Quiet | undefined;
    let first = Number.POSITIVE_INFINITY;
    let end = Number.NEGATIVE_INFINITY;
    let hasRows = false;
    const keyOf = (key: string): KeyHistory => {
      let history = keys.get(key);
      if (history === undefined) {
        history = new KeyHistory(key);
        keys.set(key, history);
      }
      return history;
    };
    const processOf = (name: string): Process => {
      let process = processes.get(name);
      if (process === undefined) {
        process = new Process(name);
        processes.set(name, process);
      }
      return process;
    };

    for (const entry of entries) {
      if (isRow(entry)) {
        hasRows = true;
        switch (entry.table) {
          case "grants":
            if (isLost(entry)) keyOf(entry.key).lostRows.push(entry);
            else keyOf(entry.key).rows.push(entry);
            break;
          case "line":
            if (!isLost(entry)) keyOf(entry.key).line.push(entry);
            break;
          case "writes":
            if (!isLost(entry)) keyOf(entry.key).writes.push(entry);
            break;
          case "accounts":
            keyOf(entry.key).account = entry;
            break;
          case "sessions":
            if (!isLost(entry)) pushTo(sessions, entry.sessionId, entry);
            break;
          case "left leases":
            left.leases.push(entry);
            break;
          case "left waiters":
            left.waiters.push(entry);
            break;
          case "left sessions":
            left.sessions.push(entry);
            break;
          case "left connections":
            left.connections.push(entry);
            break;
          case "left locks":
            left.locks.push(entry);
            break;
        }
        continue;
      }
      if (!Number.isFinite(entry.t)) {
        report.object("log", "an entry has no time", [entry]);
        continue;
      }
      first = Math.min(first, entry.t);
      end = Math.max(end, entry.t);
      if (!isOfNemesis(entry)) {
        if (entry.e === "clock") clocks.push(entry);
        processOf(entry.p).hear(entry, report);
        continue;
      }
      switch (entry.e) {
        case "clock":
          nemesisClocks.push(entry);
          break;
        case "round":
          round ??= entry;
          break;
        case "fault": {
          const span = spans.get(entry.id);
          if (entry.phase === "begin") {
            if (span) report.object("log", `the fault ${entry.id} began twice`, [span.begin, entry]);
            else spans.set(entry.id, { begin: entry, until: Number.POSITIVE_INFINITY, end: undefined });
          } else if (span === undefined) {
            report.object("log", `the fault ${entry.id} ended, and had not begun`, [entry]);
          } else {
            span.until = entry.t;
            span.end = entry;
          }
          break;
        }
        case "exit":
          processOf(entry.of).exit ??= entry;
          break;
        case "server-clock":
          steps.push(entry);
          break;
        case "primary":
          primaries.push(entry);
          break;
        case "connections":
          connections.push(entry);
          break;
        case "quiet":
          quiet ??= entry;
          break;
        case "probe":
          probes.push(entry);
          break;
      }
    }

    this.faults = [...spans.values()].sort((one, other) => one.begin.t - other.begin.t);
    // The clock of a process may have been set; that of the nemesis is not.
    this.times = new Times(
      Number.isFinite(first) ? first : 0,
      nemesisClocks.length > 0 ? nemesisClocks : clocks,
      steps.map((step) => ({ ...step, t: this.#causeOf("server clock", step.t) })),
    );
    this.processes = processes;
    for (const process of processes.values()) {
      process.conclude(report);
      for (const call of process.calls.values()) for (const key of call.entry.keys) keyOf(key).calls.push(call);
      for (const handle of process.handles.values()) keyOf(handle.grant.key).handles.push(handle);
    }
    for (const process of processes.values()) {
      const pid = process.hello?.pid;
      if (pid !== undefined) this.#byPid.set(pid, this.#byPid.has(pid) ? null : process);
    }
    for (const key of keys.values()) key.conclude();
    for (const rows of sessions.values()) rows.sort((one, other) => one.id - other.id);
    this.keys = keys;
    this.sessions = sessions;
    this.limits = new Set(round?.limits ?? []);
    this.round = round;
    this.primaries = primaries.sort((one, other) => one.t - other.t);
    this.connections = connections;
    this.probes = probes;
    this.quiet = quiet;
    this.left = left;
    this.end = Number.isFinite(end) ? end : 0;
    this.hasRows = hasRows;
    const next = this.primaries.find(({ node, isLagging }) => isLagging || node !== this.primaries[0]?.node);
    this.failoverAt = next ? this.#causeOf("promote", next.t) : Number.POSITIVE_INFINITY;
  }

  /**
   * Whether exclusion is not promised from this moment on, by what the documentation says of the scene. `node`: where the lock was
   * granted; a failover takes nothing away from what the new server grants.
   */
  isExclusionLimited(t: number, node: string | undefined): boolean {
    if (this.limits.has("clock-step") && t >= this.times.firstStepAt) return true;
    if (!this.limits.has("async-failover") && !this.limits.has("old-primary")) return false;
    const isOfNew = node === this.primaries.at(-1)?.node && node !== this.primaries[0]?.node;
    return t >= this.failoverAt && !isOfNew;
  }

  /** Whether a server may have been started or replaced between these times: what is not logged was gone then. */
  hasServerBegun(from: number, to: number): boolean {
    if (this.primaries.some(({ t }, at) => at > 0 && t >= from && t <= to + 1_000_000)) return true;
    return this.faultsBetween(from, to).some(({ begin }) => endsServers.has(begin.fault));
  }

  /**
   * By the name of an owner: `host:pid`, or the name of the process, with or without the part of it that is meant; undefined: by
   * none, or by more than one.
   */
  processOf(owner: string | null): Process | undefined {
    if (owner === null) return undefined;
    const [, pid] = /:(\d+)$/.exec(owner) ?? [];
    const own = this.processes.get(owner) ?? this.processes.get(owner.split(":")[0] ?? "");
    return own ?? (pid === undefined ? undefined : (this.#byPid.get(Number(pid)) ?? undefined));
  }

  /** Whose a lease or an entry of the queue is: its owner may have any name, that of its session is its process's. */
  processOfRow({
    sessionId,
    owner,
  }: {
    readonly sessionId: number | null;
    readonly owner: string | null;
  }): Process | undefined {
    const session = sessionId === null ? undefined : this.sessions.get(sessionId)?.[0];
    return this.processOf(session?.owner ?? owner);
  }

  faultsBetween(from: number, to: number): readonly FaultSpan[] {
    return this.faults.filter(({ begin, until }) => begin.t <= to && until >= from);
  }

  /** Entries are written when a thing has been done: when its fault began, if it is told. */
  #causeOf(fault: string, t: number): number {
    const spans = this.faults.filter(
      (span) => span.begin.fault === fault && span.begin.t <= t && span.until >= t - 1_000_000,
    );
    return Math.min(t, ...spans.map(({ begin }) => begin.t));
  }
}

const endsServers: ReadonlySet<string> = new Set(["crash", "restart", "kill backend", "promote", "disk full"]);

export interface Left {
  readonly leases: LeftLease[];
  readonly waiters: LeftWaiter[];
  readonly sessions: LeftSession[];
  readonly connections: LeftConnection[];
  readonly locks: LeftLock[];
}

/** It is on a server that was replaced, and not on the one that serves at the end. */
function isLost(row: GrantRow | SessionRow | { readonly e: "row" }): boolean {
  return "isLost" in row && row.isLost === true;
}

function pushTo<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
