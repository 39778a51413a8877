import type { MemoryProcess } from "./memory-process.js";

/** An entry lasts this long unless it is repeated. */
const ENTRY_MS = 3_000;

interface Entry {
  readonly token: string;
  readonly ticket: bigint;
  readonly process: MemoryProcess;
  aliveUntilMs: number;
  hasLeft: boolean;
}

/** Those that wait for one key, in the order of their tickets. */
export class MemoryQueue {
  readonly #byToken = new Map<string, Entry>();
  /** By ticket. Those that have left are dropped when they come to the head: removing each from the middle would copy the rest. */
  #entries: Entry[] = [];
  #first = 0;

  /** The ticket of a token; undefined when it has no entry. */
  ticketOf(token: string): bigint | undefined {
    return this.#byToken.get(token)?.ticket;
  }

  /** Enters it, or extends its entry. */
  keep(token: string, ticket: bigint, process: MemoryProcess, nowMs: number): void {
    const found = this.#byToken.get(token);
    if (found !== undefined) {
      found.aliveUntilMs = nowMs + ENTRY_MS;
      return;
    }
    const entry: Entry = { token, ticket, process, aliveUntilMs: nowMs + ENTRY_MS, hasLeft: false };
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
    entry.hasLeft = true;
    return this.#byToken.delete(token);
  }

  /** Removes the entries of a process that has died. */
  leaveAll(process: MemoryProcess): void {
    for (const { token, process: of } of [...this.#byToken.values()]) {
      if (of === process) {
        this.leave(token);
      }
    }
  }

  /** Whoever is next; undefined when nobody waits. Drops the entries before it. */
  head(nowMs: number): Readonly<Entry> | undefined {
    for (; this.#first < this.#entries.length; this.#first += 1) {
      const entry = this.#entries[this.#first] as Entry;
      if (!entry.hasLeft && entry.aliveUntilMs > nowMs) {
        this.#tidy();
        return entry;
      }
      this.leave(entry.token);
    }
    this.#entries = [];
    this.#first = 0;
    return undefined;
  }

  /** Drops the entries that have expired. Returns how many there were. */
  dropExpired(nowMs: number): number {
    let count = 0;
    for (const { token, aliveUntilMs } of [...this.#byToken.values()]) {
      if (aliveUntilMs <= nowMs) {
        this.leave(token);
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

  #tidy(): void {
    if (this.#first > 64 && this.#first > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
