import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptRequest,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  GrantRequest,
  KeyState,
  ReleaseAnswer,
  RenewAnswer,
  RenewRequest,
} from "../api/store.js";
import type { LossReason } from "../errors/errors.js";
import { soon } from "../runtime/soon.js";
import {
  adopted,
  expiryReason,
  freeAtMs,
  granted,
  holderOf,
  isGrantable,
  lossReason,
  type MemoryLease,
  stateOf,
  takeoverOf,
} from "./memory-lease.js";
import { type MemoryProcess, nobody } from "./memory-process.js";
import { MemoryQueue } from "./memory-queue.js";

/** How many of the grants that were ended beneath their holders are remembered, so that these are told why. */
const REMEMBERED = 1_000;
/** How long an expired lease is kept, for the same purpose. */
const GRACE_MS = 600_000;

/** Most releases have this answer. */
const released: ReleaseAnswer = Object.freeze({ outcome: "released", reason: null });

/**
 * Leases by their keys. Any number of `MemoryStore`s share them, and are to each other what processes are to Postgres. The rules are those of
 * docs/decisions. Nothing here has a timer: whoever waits is told when to look.
 */
export class MemoryLeases {
  readonly nowMs: () => number;
  /** A free key has none. An object rather than a Map: see LinkedList. */
  readonly #leases: Record<string, MemoryLease> = Object.create(null);
  readonly #queues = new Map<string, MemoryQueue>();
  /** By token: of the grants that were ended beneath their holders. */
  readonly #ended = new Map<string, LossReason>();
  readonly #marks = new Map<string, bigint>();
  /** One for all keys, for a free key has nothing that could remember its own. */
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
    const lease = this.#leases[key];
    if (lease?.token === token && !lease.isRevoked && !isGrantable(lease, nowMs)) {
      return granted(lease, nowMs, null); // asked again
    }
    const isFree = lease === undefined || isGrantable(lease, nowMs);
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    const head = queue?.head(nowMs);
    const place = queue?.ticketOf(token) ?? ticket;
    if (isFree && (head === undefined || head.token === token || (place !== null && place < head.ticket))) {
      this.#leave(key, token);
      const takeover = lease === undefined ? null : takeoverOf(lease, nowMs);
      return granted(this.#grant(request, process, nowMs), nowMs, takeover);
    }
    const holder = isFree ? null : holderOf(lease);
    if (!waits) {
      return { outcome: "held", holder };
    }
    const own = place ?? ++this.#ticket;
    this.#queueOf(key).keep(token, own, process, nowMs);
    return { outcome: "queued", ticket: own, holder, lookInMs: isFree ? null : freeAtMs(lease) - nowMs };
  }

  release({ key, token, fence }: GrantRequest): ReleaseAnswer {
    const lease = this.#leases[key];
    if (lease === undefined || lease.token !== token || lease.fence !== fence) {
      return { outcome: "gone", reason: this.#whyGone(token) };
    }
    return this.#free(key, lease, true);
  }

  abandon({ key, token, wasHeld }: AbandonRequest): ReleaseAnswer {
    const hasLeft = this.#leave(key, token);
    const lease = this.#leases[key];
    if (lease?.token === token) {
      return this.#free(key, lease, wasHeld);
    }
    // The next one may have waited for this entry alone.
    if (hasLeft && (lease === undefined || isGrantable(lease, this.nowMs()))) {
      this.#wakeNext(key);
    }
    return { outcome: "gone", reason: this.#ended.get(token) ?? null };
  }

  renew({ key, token, fence, ttlMs }: RenewRequest, process: MemoryProcess): RenewAnswer {
    const nowMs = this.nowMs();
    const lease = this.#leases[key];
    if (lease === undefined || lease.token !== token || lease.fence !== fence) {
      return { outcome: "lost", reason: this.#whyGone(token) };
    }
    const reason = lossReason(lease, nowMs);
    if (reason !== null) {
      return { outcome: "lost", reason };
    }
    // Somebody else renews what a dead process has left: it lives on, by its TTL alone (decision 17).
    if (lease.process !== process && lease.process.diedAtMs !== null) {
      lease.process = nobody;
    }
    lease.expiresAtMs = Math.max(lease.expiresAtMs, atMost(nowMs + ttlMs, lease.maxHoldUntilMs));
    return { outcome: "renewed", nowMs, expiresAtMs: lease.expiresAtMs };
  }

  /** A renewal after which no death frees it early. */
  detach(request: RenewRequest, process: MemoryProcess): RenewAnswer {
    const answer = this.renew(request, process);
    const lease = this.#leases[request.key];
    if (answer.outcome === "renewed" && lease !== undefined) {
      lease.process = nobody;
    }
    return answer;
  }

  adopt(request: AdoptRequest, process: MemoryProcess): AdoptAnswer {
    const { key, token, fence, newToken, owner, ttlMs, maxHoldMs, notAfterMs } = request;
    const nowMs = this.nowMs();
    if (nowMs >= notAfterMs) {
      return { outcome: "late", nowMs };
    }
    const lease = this.#leases[key];
    if (lease === undefined || (lease.token !== token && lease.token !== newToken) || lease.fence !== fence) {
      return { outcome: "lost", reason: this.#whyGone(token) };
    }
    const reason = lossReason(lease, nowMs);
    if (reason !== null) {
      return { outcome: "lost", reason };
    }
    // Its holder has not let go of it, and is not dead.
    if (lease.process !== process && nowMs < lease.process.orphanedAtMs && lease.process !== nobody) {
      return { outcome: "attached", holder: holderOf(lease) };
    }
    const maxHoldUntilMs = maxHoldMs === null ? lease.maxHoldUntilMs : atMost(nowMs + maxHoldMs, lease.maxHoldUntilMs);
    const expiresAtMs = atMost(nowMs + ttlMs, maxHoldUntilMs);
    const next: MemoryLease = { ...lease, token: newToken, owner, process, expiresAtMs, maxHoldUntilMs };
    this.#leases[key] = next;
    return adopted(next, nowMs);
  }

  check(key: string): KeyState {
    const nowMs = this.nowMs();
    const lease = this.#leases[key];
    const waiters = this.#queues.get(key)?.count(nowMs) ?? 0;
    const state = lease === undefined ? "free" : stateOf(lease, nowMs);
    if (lease === undefined || state === "free") {
      return { state: "free", holder: null, acquiredAtMs: null, freeAtMs: null, nowMs, metadata: null, waiters };
    }
    return {
      state,
      holder: state === "cooling" ? null : holderOf(lease),
      acquiredAtMs: lease.acquiredAtMs,
      freeAtMs: isGrantable(lease, nowMs) ? null : freeAtMs(lease),
      nowMs,
      metadata: state === "cooling" ? null : lease.metadata,
      waiters,
    };
  }

  forceRelease({ key, fence, immediate }: ForceReleaseRequest): ForceReleaseAnswer {
    const nowMs = this.nowMs();
    const lease = this.#leases[key];
    const isOther = lease === undefined || (fence !== null && lease.fence !== fence);
    if (isOther || stateOf(lease, nowMs) === "free") {
      return { outcome: "gone", freeAtMs: null, holder: null };
    }
    const holder = lease.token === null ? null : holderOf(lease);
    if (holder !== null && !immediate && !isGrantable(lease, nowMs)) {
      lease.isRevoked = true;
      return { outcome: "revoked", freeAtMs: freeAtMs(lease), holder };
    }
    this.#end(key, lease, "forced");
    return { outcome: "released", freeAtMs: null, holder };
  }

  /** Ends the lease of whoever has the key, and tells its holder. */
  lose(key: string, reason: LossReason): void {
    const lease = this.#leases[key];
    if (lease !== undefined && lease.token !== null) {
      this.#end(key, lease, reason);
    }
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
    for (const [key, lease] of Object.entries(this.#leases)) {
      const isOver = lease.token === null ? isGrantable(lease, nowMs) : lease.expiresAtMs + GRACE_MS <= nowMs;
      if (isOver) {
        delete this.#leases[key];
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

  #grant(request: AcquireRequest, process: MemoryProcess, nowMs: number): MemoryLease {
    const { key, token, owner, ttlMs, minHoldMs, maxHoldMs, metadata } = request;
    const maxHoldUntilMs = maxHoldMs === null ? null : nowMs + maxHoldMs;
    this.#fence += 1n;
    const lease: MemoryLease = {
      token,
      fence: this.#fence,
      owner,
      process,
      acquiredAtMs: nowMs,
      expiresAtMs: atMost(nowMs + ttlMs, maxHoldUntilMs),
      minHoldUntilMs: minHoldMs === 0 ? 0 : nowMs + minHoldMs,
      maxHoldUntilMs,
      metadata,
      isRevoked: false,
    };
    this.#leases[key] = lease;
    return lease;
  }

  /** Frees a key without its holder. */
  #end(key: string, { token, fence, process }: MemoryLease, reason: LossReason): void {
    delete this.#leases[key];
    if (token !== null) {
      this.#ended.set(token, reason);
      for (const [oldest] of this.#ended) {
        if (this.#ended.size <= REMEMBERED) break;
        this.#ended.delete(oldest);
      }
      process.lost({ key, token, fence }, reason);
    }
    this.#wakeNext(key);
  }

  /** Frees what a token has. Also after a revocation its minimum hold counts, and the holder has let go in time if it has not expired. */
  #free(key: string, lease: MemoryLease, minHoldCounts: boolean): ReleaseAnswer {
    const nowMs = this.nowMs();
    const isInTime = nowMs < lease.expiresAtMs;
    if (isInTime && minHoldCounts && nowMs < lease.minHoldUntilMs) {
      lease.token = null;
    } else {
      delete this.#leases[key];
    }
    this.#wakeNext(key);
    return isInTime ? released : { outcome: "expired", reason: expiryReason(lease, nowMs) };
  }

  #whyGone(token: string): LossReason {
    return this.#ended.get(token) ?? "taken";
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
      soon(() => head.process.wake(key));
    }
  }
}

function atMost(ms: number, limitMs: number | null): number {
  return limitMs === null ? ms : Math.min(ms, limitMs);
}
