import type { AcquireRequest } from "../api/store.js";
import type { MemoryProcess } from "./memory-process.js";
import { MemoryQueue } from "./memory-queue.js";

/** Those that wait, by their keys. */
export class MemoryQueues {
  readonly #byKey = new Map<string, MemoryQueue>();
  #ticket = 0n;

  /** Undefined when nobody waits. */
  of(key: string): MemoryQueue | undefined {
    return this.#byKey.size === 0 ? undefined : this.#byKey.get(key);
  }

  /** Enters a request, or extends its entry. `place`: the ticket that it has already. Returns its ticket. */
  enter(request: AcquireRequest, place: bigint | null, process: MemoryProcess, nowMs: number): bigint {
    const { key } = request;
    let queue = this.#byKey.get(key);
    if (queue === undefined) {
      queue = new MemoryQueue();
      this.#byKey.set(key, queue);
    }
    const ticket = place ?? ++this.#ticket;
    queue.keep(request, ticket, process, nowMs);
    return ticket;
  }

  /** Whether the token had an entry. */
  leave(key: string, token: string): boolean {
    const queue = this.of(key);
    if (queue === undefined || !queue.leave(token)) {
      return false;
    }
    this.#forgetIfEmpty(key, queue);
    return true;
  }

  /** Removes the entries of a process that has died. Returns the keys that others wait for. */
  leaveAll(process: MemoryProcess): readonly string[] {
    for (const [key, queue] of this.#byKey) {
      queue.leaveAll(process);
      this.#forgetIfEmpty(key, queue);
    }
    return [...this.#byKey.keys()];
  }

  /** Removes the entries that have expired. Returns how many there were. */
  dropExpired(nowMs: number): number {
    let count = 0;
    for (const [key, queue] of this.#byKey) {
      count += queue.dropExpired(nowMs);
      this.#forgetIfEmpty(key, queue);
    }
    return count;
  }

  #forgetIfEmpty(key: string, queue: MemoryQueue): void {
    if (queue.isEmpty) {
      this.#byKey.delete(key);
    }
  }
}
