// What one process wrote down: its calls with their ends, its handles with what was believed of them, and when it stood still.
import type { Grant, ProcessEntry } from "../log.js";
import type { Belief, Bye, CallEntry, Exit, Hello, Lag, Lost, Settled, Uncaught } from "./entries.js";
import type { Report } from "./verdict.js";

export interface Call {
  readonly process: Process;
  readonly entry: CallEntry;
  settled: Settled | undefined;
}

/** A lock that was granted, as its process was told. */
export interface Handle {
  readonly process: Process;
  readonly grant: Grant;
  readonly fence: bigint;
  /** The call that it came of, and its end: at `told` it was known. */
  readonly call: Call;
  readonly answer: Settled;
  readonly told: number;
  readonly beliefs: Belief[];
  lost: Lost | undefined;
  /** Its locker began to be closed. */
  askedBack: Lost | undefined;
  /** With this handle: renew, release, transaction, ... */
  readonly calls: Call[];
}

export class Process {
  readonly name: string;
  hello: Hello | undefined;
  bye: Bye | undefined;
  exit: Exit | undefined;
  /** The times of its first and last entry. */
  first: number = Number.POSITIVE_INFINITY;
  last: number = Number.NEGATIVE_INFINITY;
  readonly calls: Map<number, Call> = new Map();
  readonly handles: Map<string, Handle> = new Map();
  readonly closes: Call[] = [];
  readonly lags: Lag[] = [];
  readonly uncaught: Uncaught[] = [];
  readonly #beliefs: Belief[] = [];
  readonly #losses: Lost[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Whether it was ended from outside, before its own end: nothing more is asked of it then. */
  get isKilled(): boolean {
    return this.bye === undefined && this.exit !== undefined && this.exit.signal !== null;
  }

  /** Until when it certainly ran: it said so, or nobody ended it. */
  get end(): number {
    return this.bye?.t ?? this.exit?.t ?? this.last;
  }

  /** Takes an entry, in the order in which they were written. */
  hear(entry: ProcessEntry, report: Report): void {
    this.first = Math.min(this.first, entry.t);
    this.last = Math.max(this.last, entry.t);
    switch (entry.e) {
      case "hello":
        if (this.hello) report.object("log", `${this.name} began twice`, [this.hello, entry]);
        this.hello ??= entry;
        break;
      case "call": {
        const twin = this.calls.get(entry.id);
        if (twin) report.object("log", `${this.name} has two calls with the number ${entry.id}`, [twin.entry, entry]);
        else this.#begin({ process: this, entry, settled: undefined });
        break;
      }
      case "settled":
        this.#settle(entry, report);
        break;
      case "belief":
        this.#beliefs.push(entry);
        break;
      case "lost":
        this.#losses.push(entry);
        break;
      case "lag":
        this.lags.push(entry);
        break;
      case "bye":
        this.bye ??= entry;
        break;
      case "uncaught":
        this.uncaught.push(entry);
        break;
      case "clock":
        break;
    }
  }

  #begin(call: Call): void {
    this.calls.set(call.entry.id, call);
    if (call.entry.call === "close") this.closes.push(call);
  }

  #settle(entry: Settled, report: Report): void {
    const call = this.calls.get(entry.id);
    if (call === undefined) {
      report.object("log", `the call ${entry.id} of ${this.name} settled, and nobody had made it`, [entry]);
      return;
    }
    if (call.settled) {
      report.object("log", `the ${nameOf(call)} settled twice`, [call.entry, call.settled, entry]);
      return;
    }
    if (entry.t < call.entry.t)
      report.object("log", `the ${nameOf(call)} settled before it began`, [call.entry, entry]);
    call.settled = entry;
    for (const grant of entry.grants ?? []) {
      const twin = this.handles.get(grant.lock);
      if (twin) {
        report.object("log", `${this.name} was granted two locks with the number ${grant.lock}`, [twin.answer, entry]);
        continue;
      }
      const fence = BigInt(grant.fence);
      const told = entry.t;
      const of: Handle = {
        process: this,
        grant,
        fence,
        call,
        answer: entry,
        told,
        beliefs: [],
        lost: undefined,
        askedBack: undefined,
        calls: [],
      };
      this.handles.set(grant.lock, of);
    }
  }

  /** After the last entry: belief and calls go to their handles. */
  conclude(report: Report): void {
    if (this.hello === undefined && this.isKilled) report.unsure("log", "processes that were killed before they began");
    else if (this.hello === undefined)
      report.object(
        "log",
        `${this.name} never said hello`,
        [...this.calls.values()].map(({ entry }) => entry).slice(0, 1),
      );
    const unknown = (what: string, entry: ProcessEntry): void => {
      // what was granted right before it was killed may not be written down
      if (this.isKilled) report.unsure("log", "a lock that a killed process did not name");
      else report.object("log", `${this.name} tells ${what} a lock that it was never granted`, [entry]);
    };
    for (const entry of this.#beliefs) {
      const handle = this.handles.get(entry.lock);
      if (handle) handle.beliefs.push(entry);
      else unknown("what it believes of", entry);
    }
    for (const entry of this.#losses) {
      const handle = this.handles.get(entry.lock);
      // its locker is being closed, and asks to let go: it is held until it is released
      if (handle && entry.reason === "closed") handle.askedBack ??= entry;
      else if (handle) handle.lost ??= entry;
      else unknown("the loss of", entry);
    }
    for (const call of this.calls.values()) {
      if (call.entry.lock === undefined) continue;
      const handle = this.handles.get(call.entry.lock);
      if (handle) handle.calls.push(call);
      else unknown("a call with", call.entry);
    }
    for (const handle of this.handles.values()) handle.beliefs.sort((one, other) => one.t - other.t);
    this.lags.sort((one, other) => one.t - other.t);
  }

  /** For how long it did not run between these times, as far as it has told: in microseconds. */
  stoodStill(from: number, to: number): number {
    let sum = 0;
    for (const { t, ms } of this.lags) {
      sum += Math.max(0, Math.min(t, to) - Math.max(t - ms * 1_000, from));
    }
    return sum;
  }
}

export function nameOf({ process, entry }: Call): string {
  const keys = entry.keys.map((key) => (key.length > 40 ? `${key.slice(0, 30)}...${key.slice(-5)}` : key));
  return `call ${entry.id} of ${process.name} (${entry.call} ${keys.join(", ")})`;
}
