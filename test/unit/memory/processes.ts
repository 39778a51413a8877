// Processes that share leases in memory, over a clock that only the test moves.
import type { AcquireAnswer, AcquireRequest, GrantedAnswer, GrantRequest } from "../../../src/api/store.js";
import type { LossReason } from "../../../src/errors/errors.js";
import { MemoryLeases } from "../../../src/memory/memory-leases.js";
import { MemoryStore } from "../../../src/memory/memory-store.js";

/** Some moment, whose numbers are short. */
const START_MS = 1_000_000;

export class World {
  nowMs: number = START_MS;
  readonly leases: MemoryLeases = new MemoryLeases(() => this.nowMs);

  process(takeoverDelayMs = 5_000): Process {
    return new Process(this.leases, takeoverDelayMs);
  }

  pass(ms: number): void {
    this.nowMs += ms;
  }
}

type Terms = Partial<Omit<AcquireRequest, "token">>;

/** A store, and what it has told its locker. */
export class Process {
  readonly store: MemoryStore;
  readonly wakes: (string | null)[] = [];
  readonly losses: (readonly [token: string, reason: LossReason])[] = [];
  reconnects = 0;

  constructor(leases: MemoryLeases, takeoverDelayMs: number) {
    this.store = new MemoryStore(leases, {
      requestTimeoutMs: 5_000,
      takeoverDelayMs,
      onWake: (key) => this.wakes.push(key),
      onReconnected: () => {
        this.reconnects += 1;
      },
      onLost: ({ token }, reason) => this.losses.push([token, reason]),
      onError: () => undefined,
    });
  }

  /** One look, at the key "a" unless another is given. */
  look(token: string, terms: Terms = {}): Promise<AcquireAnswer> {
    return this.store.acquire({
      key: "a",
      token,
      owner: `owner of ${token}`,
      mode: "exclusive",
      capacity: null,
      weight: 1,
      ttlMs: 30_000,
      minHoldMs: 0,
      maxHoldMs: null,
      metadata: null,
      waits: false,
      ticket: null,
      notAfterMs: Number.POSITIVE_INFINITY,
      ...terms,
    });
  }

  /** A look that is granted. */
  async take(token: string, terms: Terms = {}): Promise<GrantedAnswer & GrantRequest> {
    const answer = await this.look(token, terms);
    if (answer.outcome !== "granted") throw new Error(`the look of ${token} was answered ${answer.outcome}`);
    return { ...answer, key: terms.key ?? "a", token };
  }

  /** A look that joins the queue. Returns its ticket. */
  async queueUp(token: string, terms: Terms = {}): Promise<bigint> {
    const answer = await this.look(token, { waits: true, ...terms });
    if (answer.outcome !== "queued") throw new Error(`the look of ${token} was answered ${answer.outcome}`);
    return answer.ticket;
  }
}

/** The terms of a read lock. */
export const READ = { mode: "shared" } as const;

/** The terms of a part of a semaphore. */
export function slot(capacity: number, weight = 1): Terms {
  return { mode: "semaphore", capacity, weight };
}
