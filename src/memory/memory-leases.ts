import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  GrantedAnswer,
  GrantRequest,
  Holder,
  KeyState,
  ReleaseAnswer,
  RenewAnswer,
  RenewRequest,
  Takeover,
} from "../api/store.js";
import type { LossReason } from "../errors/errors.js";
import type { MemoryProcess } from "./memory-process.js";
import { MemoryQueue } from "./memory-queue.js";

/** The lease of one key. */
interface Lease {
  /** Null: it was released, and the minimum hold keeps the key. */
  token: string | null;
  readonly fence: bigint;
  readonly owner: string;
  readonly process: MemoryProcess;
  readonly acquiredAtMs: number;
  expiresAtMs: number;
  readonly minHoldUntilMs: number;
  /** `Infinity`: no limit. */
  readonly maxHoldUntilMs: number;
  readonly metadata: string | null;
  isRevoked: boolean;
}

/** How many of the grants that ended by force are remembered, so that their holders are told why. */
const REMEMBERED = 1_000;
/** How long an expired lease is kept, for the same purpose. */
const GRACE_MS = 600_000;

/**
 * Leases in a Map. Any number of `MemoryStore`s share them, and are to each other what processes are to Postgres. The rules are those of
 * docs/decisions. Nothing here has a timer: whoever waits is told when to look.
 */
export class MemoryLeases {
  readonly nowMs: () => number;
  /** A free key has none. */
  readonly #leases = new Map<string, Lease>();
  readonly #queues = new Map<string, MemoryQueue>();
  /** By fence. */
  readonly #endedByForce = new Map<bigint, LossReason>();
  readonly #marks = new Map<string, bigint>();
  #fence = 0n;
  #ticket = 0n;

  /** `nowMs`: the clock that decides. */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  acquire(request: AcquireRequest, process: MemoryProcess): AcquireAnswer {
    const nowMs = this.nowMs();
    if (nowMs >= request.notAfterMs) {
      return { outcome: "late", nowMs };
    }
    const { key, token, ticket, waits } = request;
    const lease = this.#leases.get(key);
    if (lease !== undefined && lease.token === token && !lease.isRevoked && !isGrantable(lease, nowMs)) {
      return granted(lease, nowMs, null); // asked again
    }
    const isFree = lease === undefined || isGrantable(lease, nowMs);
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    const head = queue?.head(nowMs);
    const place = queue?.ticketOf(token) ?? ticket;
    if (isFree && (head === undefined || head.token === token || (place !== null && place < head.ticket))) {
      this.#leave(key, token);
      return granted(this.#grant(request, process, nowMs), nowMs, lease === undefined ? null : takeover(lease, nowMs));
    }
    const holder = isFree || lease === undefined ? null : toHolder(lease);
    if (!waits) {
      return { outcome: "held", holder };
    }
    const own = place ?? ++this.#ticket;
    this.#queueOf(key).keep(token, own, process, nowMs);
    return { outcome: "queued", ticket: own, holder, lookInMs: isFree ? null : freeAtMs(lease as Lease) - nowMs };
  }

  release({ key, token, fence }: GrantRequest): ReleaseAnswer {
    const lease = this.#leases.get(key);
    if (lease === undefined || lease.token !== token || lease.fence !== fence) {
      return { outcome: "gone", reason: this.#whyGone(lease, fence) };
    }
    return this.#free(key, lease, true);
  }

  abandon({ key, token, wasHeld }: AbandonRequest): ReleaseAnswer {
    const hasLeft = this.#leave(key, token);
    const lease = this.#leases.get(key);
    if (lease?.token === token) {
      return this.#free(key, lease, wasHeld);
    }
    if (hasLeft) {
      this.#wakeNext(key); // the next one may have waited for this entry alone
    }
    return { outcome: "gone", reason: null };
  }

  renew({ key, token, fence, ttlMs }: RenewRequest): RenewAnswer {
    const nowMs = this.nowMs();
    const lease = this.#leases.get(key);
    if (lease === undefined || lease.token !== token || lease.fence !== fence) {
      return { outcome: "lost", reason: this.#whyGone(lease, fence) };
    }
    const reason = whyEnded(lease, nowMs);
    if (reason !== null) {
      return { outcome: "lost", reason };
    }
    lease.expiresAtMs = Math.max(lease.expiresAtMs, Math.min(nowMs + ttlMs, lease.maxHoldUntilMs));
    return { outcome: "renewed", nowMs, expiresAtMs: lease.expiresAtMs };
  }

  check(key: string): KeyState {
    const nowMs = this.nowMs();
    const lease = this.#leases.get(key);
    const waiters = this.#queues.get(key)?.count(nowMs) ?? 0;
    if (lease === undefined || (lease.token === null && isGrantable(lease, nowMs))) {
      return { state: "free", holder: null, acquiredAtMs: null, freeAtMs: null, nowMs, metadata: null, waiters };
    }
    const { token, acquiredAtMs, metadata } = lease;
    const isOver = isGrantable(lease, nowMs);
    return {
      state: stateOf(lease, nowMs),
      holder: token === null ? null : toHolder(lease),
      acquiredAtMs,
      freeAtMs: isOver ? null : freeAtMs(lease),
      nowMs,
      metadata: token === null ? null : metadata,
      waiters,
    };
  }

  forceRelease({ key, fence, immediate }: ForceReleaseRequest): ForceReleaseAnswer {
    const nowMs = this.nowMs();
    const lease = this.#leases.get(key);
    const isOther = lease === undefined || (fence !== null && lease.fence !== fence);
    if (isOther || (lease.token === null && isGrantable(lease, nowMs))) {
      return { outcome: "gone", freeAtMs: null, holder: null };
    }
    const holder = lease.token === null ? null : toHolder(lease);
    if (lease.token !== null && !immediate && !isGrantable(lease, nowMs)) {
      lease.isRevoked = true;
      return { outcome: "revoked", freeAtMs: lease.expiresAtMs, holder };
    }
    this.lose(key, "forced");
    return { outcome: "released", freeAtMs: null, holder };
  }

  /** Ends the lease of a key, and tells its holder. */
  lose(key: string, reason: LossReason): void {
    const lease = this.#leases.get(key);
    if (lease === undefined) {
      return;
    }
    this.#leases.delete(key);
    const { token, fence, process } = lease;
    if (token !== null) {
      this.#endedByForce.set(fence, reason);
      for (const [oldest] of this.#endedByForce) {
        if (this.#endedByForce.size <= REMEMBERED) break;
        this.#endedByForce.delete(oldest);
      }
      process.lost({ key, token, fence }, reason);
    }
    this.#wakeNext(key);
  }

  checkFence(resource: string, fence: bigint): "passed" | "stale" {
    if (fence < (this.#marks.get(resource) ?? 0n)) {
      return "stale";
    }
    this.#marks.set(resource, fence);
    return "passed";
  }

  /** Deletes what nobody asks about any more. Returns how many leases and entries of waiters there were. */
  sweep(): { readonly leases: number; readonly waiters: number } {
    const nowMs = this.nowMs();
    let leases = 0;
    let waiters = 0;
    for (const [key, lease] of this.#leases) {
      const isOver = lease.token === null ? isGrantable(lease, nowMs) : lease.expiresAtMs + GRACE_MS <= nowMs;
      if (isOver) {
        this.#leases.delete(key);
        leases += 1;
      }
    }
    for (const [key, queue] of this.#queues) {
      waiters += queue.dropExpired(nowMs);
      this.#forgetIfEmpty(key, queue);
    }
    return { leases, waiters };
  }

  /** Called when a process has died: those that wait behind it learn when its locks are free. */
  died(process: MemoryProcess): void {
    for (const [key, queue] of this.#queues) {
      queue.leaveAll(process);
      this.#forgetIfEmpty(key, queue);
      this.#wakeNext(key);
    }
  }

  #grant(request: AcquireRequest, process: MemoryProcess, nowMs: number): Lease {
    const { key, token, owner, ttlMs, minHoldMs, maxHoldMs, metadata } = request;
    const maxHoldUntilMs = maxHoldMs === null ? Number.POSITIVE_INFINITY : nowMs + maxHoldMs;
    this.#fence += 1n;
    const lease: Lease = {
      token,
      fence: this.#fence,
      owner,
      process,
      acquiredAtMs: nowMs,
      expiresAtMs: Math.min(nowMs + ttlMs, maxHoldUntilMs),
      minHoldUntilMs: nowMs + minHoldMs,
      maxHoldUntilMs,
      metadata,
      isRevoked: false,
    };
    this.#leases.set(key, lease);
    return lease;
  }

  /** Frees what a token has. */
  #free(key: string, lease: Lease, minHoldCounts: boolean): ReleaseAnswer {
    const nowMs = this.nowMs();
    const reason = whyEnded(lease, nowMs);
    if (reason === null && minHoldCounts && nowMs < lease.minHoldUntilMs) {
      lease.token = null;
    } else {
      this.#leases.delete(key);
    }
    this.#wakeNext(key);
    return reason === null ? { outcome: "released", reason: null } : { outcome: "expired", reason };
  }

  #whyGone(lease: Lease | undefined, fence: bigint): LossReason {
    return this.#endedByForce.get(fence) ?? (lease?.token === null && lease.fence === fence ? "expired" : "taken");
  }

  #queueOf(key: string): MemoryQueue {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new MemoryQueue();
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #leave(key: string, token: string): boolean {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined || !queue.leave(token)) {
      return false;
    }
    this.#forgetIfEmpty(key, queue);
    return true;
  }

  #forgetIfEmpty(key: string, queue: MemoryQueue): void {
    if (queue.isEmpty) {
      this.#queues.delete(key);
    }
  }

  /** Whoever is next looks, after the answer to what has changed it. */
  #wakeNext(key: string): void {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    const head = queue?.head(this.nowMs());
    if (head !== undefined) {
      queueMicrotask(() => head.process.wake(key));
    }
  }
}

/** Whether a key can be granted: the only predicate for that. */
function isGrantable({ token, expiresAtMs, minHoldUntilMs, process }: Lease, nowMs: number): boolean {
  return token === null ? nowMs >= minHoldUntilMs : nowMs >= expiresAtMs || nowMs >= process.orphanedAtMs;
}

/** When that will be, at the latest. */
function freeAtMs({ token, expiresAtMs, minHoldUntilMs, process }: Lease): number {
  return token === null ? minHoldUntilMs : Math.min(expiresAtMs, process.orphanedAtMs);
}

/** Why a lease is its holder's no more; null: it is. */
function whyEnded({ isRevoked, expiresAtMs, maxHoldUntilMs }: Lease, nowMs: number): LossReason | null {
  if (isRevoked) {
    return "forced";
  }
  if (nowMs < expiresAtMs) {
    return null;
  }
  return nowMs >= maxHoldUntilMs ? "max-hold" : "expired";
}

function stateOf(lease: Lease, nowMs: number): KeyState["state"] {
  if (lease.token === null) return "cooling";
  if (nowMs >= lease.expiresAtMs) return "expired";
  if (nowMs >= lease.process.orphanedAtMs) return "orphaned";
  return lease.isRevoked ? "revoked" : "held";
}

function granted(lease: Lease, nowMs: number, from: Takeover | null): GrantedAnswer {
  const { fence, acquiredAtMs, expiresAtMs } = lease;
  return { outcome: "granted", fence, acquiredAtMs, nowMs, expiresAtMs, takeover: from };
}

/** Null when it had been released. */
function takeover({ token, owner, fence, expiresAtMs, process }: Lease, nowMs: number): Takeover | null {
  if (token === null) {
    return null;
  }
  return nowMs >= expiresAtMs
    ? { owner, fence, reason: "expired", sinceMs: expiresAtMs }
    : { owner, fence, reason: "orphaned", sinceMs: process.diedAtMs };
}

function toHolder({ token, owner, fence, expiresAtMs }: Lease): Holder | null {
  return token === null ? null : { owner, fence, expiresAtMs };
}
