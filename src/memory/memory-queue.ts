import type { AcquireRequest } from "../api/store.js";
import type { MemoryProcess } from "./memory-process.js";

/** An entry lasts this long unless it is repeated. */
const ENTRY_MS = 3_000;
/** So many places of those that have left are no waste. */
const SPARE = 64;

interface Entry {
  readonly token: string;
  readonly ticket: bigint;
  /** How it wants the key. */
  readonly asked: Pick<AcquireRequest, "token" | "mode" | "capacity" | "weight">;
  readonly process: MemoryProcess;
  aliveUntilMs: number;
  hasLeft: boolean;
}

/** Those that wait for one key, in the order of their tickets. */
export class MemoryQueue {
  /** Those that have not left. */
  readonly #byToken = new Map<string, Entry>();
  /** By ticket. Whoever has left keeps its place for a while: to remove each from the middle would copy the rest. */
  #entries: Entry[] = [];
  /** All before it have left. */
  #first = 0;

  /** The ticket of a token; undefined when it has no entry. */
  ticketOf(token: string): bigint | undefined {
    return this.#byToken.get(token)?.ticket;
  }

  /** Enters it, or extends its entry. */
  keep(asked: Entry["asked"], ticket: bigint, process: MemoryProcess, nowMs: number): void {
    const { token } = asked;
    const found = this.#byToken.get(token);
    if (found !== undefined) {
      found.aliveUntilMs = nowMs + ENTRY_MS;
      return;
    }
    this.#tidy();
    const entry: Entry = { token, ticket, asked, process, aliveUntilMs: nowMs + ENTRY_MS, hasLeft: false };
    this.#byToken.set(token, entry);
    let at = this.#entries.length;
    while (at > this.#first && (this.#entries[at - 1] as Entry).ticket > ticket) {
      at -= 1;
    }
    this.#entries.splice(at, 0, entry);
  }

  /** Whether it had an entry. */
  leave(token: string): boolean {
    const entry = this.#byToken.get(token);
    if (entry === undefined) {
      return false;
    }
    this.#remove(entry);
    return true;
  }

  /** Removes the entries of a process that has died. */
  leaveAll(process: MemoryProcess): void {
    for (const entry of this.#byToken.values()) {
      if (entry.process === process) {
        this.#remove(entry);
      }
    }
  }

  /** Whoever is next; undefined when nobody waits. Removes the expired entries before it. */
  head(nowMs: number): Readonly<Entry> | undefined {
    for (; ; this.#first += 1) {
      const entry = this.#entries[this.#first];
      if (entry === undefined || (!entry.hasLeft && entry.aliveUntilMs > nowMs)) {
        return entry;
      }
      if (!entry.hasLeft) {
        this.#remove(entry);
      }
    }
  }

  /** Those that wait, whoever is next first. */
  *waiting(nowMs: number): Iterable<Readonly<Entry>> {
    this.head(nowMs); // it forgets those before it
    for (let at = this.#first; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at] as Entry;
      if (!entry.hasLeft && entry.aliveUntilMs > nowMs) {
        yield entry;
      }
    }
  }

  /** Removes the entries that have expired. Returns how many there were. */
  dropExpired(nowMs: number): number {
    let count = 0;
    for (const entry of this.#byToken.values()) {
      if (entry.aliveUntilMs <= nowMs) {
        this.#remove(entry);
        count += 1;
      }
    }
    return count;
  }

  /** How many wait. */
  count(nowMs: number): number {
    let count = 0;
    for (const { aliveUntilMs } of this.#byToken.values()) {
      count += aliveUntilMs > nowMs ? 1 : 0;
    }
    return count;
  }

  /** Whether nobody has an entry, not even one that has expired. */
  get isEmpty(): boolean {
    return this.#byToken.size === 0;
  }

  #remove(entry: Entry): void {
    entry.hasLeft = true;
    this.#byToken.delete(entry.token);
  }

  /** Forgets those that have left when they are more than the others. */
  #tidy(): void {
    if (this.#entries.length > 2 * this.#byToken.size + SPARE) {
      this.#entries = this.#entries.filter(({ hasLeft }) => !hasLeft);
      this.#first = 0;
    }
  }
}
