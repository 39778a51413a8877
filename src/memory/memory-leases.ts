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
import { MemoryGrants } from "./memory-grants.js";
import {
  adopted,
  atMost,
  expiryReason,
  freeAtMs,
  granted,
  holderOf,
  isGrantable,
  lossReason,
  type MemoryLease,
  newLease,
  takeoverOf,
} from "./memory-lease.js";
import { firstFits, fits, isNext, nextProcesses } from "./memory-line.js";
import { type MemoryProcess, nobody } from "./memory-process.js";
import type { MemoryQueue } from "./memory-queue.js";
import { MemoryQueues } from "./memory-queues.js";
import { type MemoryShares, nothing } from "./memory-shares.js";
import { blockingOf, stateOfKey } from "./memory-state.js";

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
  readonly #grants = new MemoryGrants();
  readonly #queues = new MemoryQueues();
  /** By token: of the grants that were ended beneath their holders. */
  readonly #ended = new Map<string, LossReason>();
  readonly #marks = new Map<string, bigint>();
  /** One for all keys, for a free key has nothing that could remember its own. */
  #fence = 0n;

  /** `nowMs`: the clock that decides. */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  acquire(request: AcquireRequest, process: MemoryProcess): AcquireAnswer {
    const nowMs = this.nowMs();
    if (nowMs >= request.notAfterMs) {
      return { outcome: "late", nowMs };
    }
    const { key, token, waits } = request;
    const lease = this.#grants.alone(key);
    const shares = this.#grants.shares(key);
    const own = lease?.token === token ? lease : shares?.get(token);
    if (own !== undefined && !own.isReleased && !own.isRevoked && !isGrantable(own, nowMs)) {
      return granted(own, nowMs); // asked again
    }
    const isFree = lease === undefined || isGrantable(lease, nowMs);
    const queue = this.#queues.of(key);
    queue?.head(nowMs); // entries that have expired keep no place
    const place = queue?.ticketOf(token) ?? request.ticket;
    if (isFree && this.#mayBeGranted(request, shares, queue, place, nowMs)) {
      this.#queues.leave(key, token);
      return this.#grant(request, process, nowMs);
    }
    const { holder, lookInMs } = blockingOf(request, isFree ? undefined : lease, shares, nowMs);
    if (!waits) {
      return { outcome: "held", holder };
    }
    const ticket = this.#queues.enter(request, place, process, nowMs);
    return { outcome: "queued", ticket, holder, lookInMs };
  }

  release({ key, token, fence }: GrantRequest): ReleaseAnswer {
    const lease = this.#grants.find(key, token);
    if (lease === undefined || lease.fence !== fence) {
      return { outcome: "gone", reason: this.#whyGone(token) };
    }
    return this.#free(key, lease, true);
  }

  abandon({ key, token, wasHeld }: AbandonRequest): ReleaseAnswer {
    const hasLeft = this.#queues.leave(key, token);
    const lease = this.#grants.find(key, token);
    if (lease !== undefined) {
      return this.#free(key, lease, wasHeld);
    }
    // Those behind it may have waited for this entry alone.
    const alone = this.#grants.alone(key);
    if (hasLeft && (alone === undefined || isGrantable(alone, this.nowMs()))) {
      this.#wakeNext(key);
    }
    return { outcome: "gone", reason: this.#ended.get(token) ?? null };
  }

  renew({ key, token, fence, ttlMs }: RenewRequest, process: MemoryProcess): RenewAnswer {
    const nowMs = this.nowMs();
    const lease = this.#grants.find(key, token);
    if (lease === undefined || lease.fence !== fence) {
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
    const lease = this.#grants.find(request.key, request.token);
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
    const lease = this.#grants.find(key, token) ?? this.#grants.find(key, newToken);
    if (lease === undefined || lease.fence !== fence) {
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
    const longestMs = lease.token === newToken ? Math.max(nowMs + ttlMs, lease.expiresAtMs) : nowMs + ttlMs;
    const expiresAtMs = atMost(longestMs, maxHoldUntilMs);
    const next: MemoryLease = { ...lease, token: newToken, owner, process, expiresAtMs, maxHoldUntilMs };
    this.#grants.replace(key, lease, next);
    return adopted(next, nowMs);
  }

  check(key: string): KeyState {
    const nowMs = this.nowMs();
    const waiters = this.#queues.of(key)?.count(nowMs) ?? 0;
    return { ...stateOfKey(this.#grants.all(key), nowMs), nowMs, waiters };
  }

  forceRelease({ key, fence, immediate }: ForceReleaseRequest): ForceReleaseAnswer {
    const nowMs = this.nowMs();
    const meant = this.#grants
      .all(key)
      .filter((lease) => (fence === null || lease.fence === fence) && !(lease.isReleased && isGrantable(lease, nowMs)));
    const holders = meant.filter(({ isReleased }) => !isReleased).map(holderOf);
    const revoked = immediate ? [] : meant.filter((lease) => !lease.isReleased && !isGrantable(lease, nowMs));
    for (const lease of meant) {
      if (revoked.includes(lease)) {
        lease.isRevoked = true;
      } else {
        this.#end(key, lease, "forced");
      }
    }
    if (revoked.length > 0) {
      return { outcome: "revoked", freeAtMs: Math.max(...revoked.map(freeAtMs)), holders };
    }
    return { outcome: meant.length === 0 ? "gone" : "released", freeAtMs: null, holders };
  }

  /** Ends the lease of whoever has the key, or all its shares, and tells the holders. */
  lose(key: string, reason: LossReason): void {
    for (const lease of this.#grants.all(key)) {
      if (!lease.isReleased) {
        this.#end(key, lease, reason);
      }
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
    return { leases: this.#grants.sweep(nowMs, GRACE_MS), waiters: this.#queues.dropExpired(nowMs) };
  }

  /** Called when a process has died: those that wait behind it learn when its locks are free. */
  died(process: MemoryProcess): void {
    this.#grants.processDied();
    for (const key of this.#queues.leaveAll(process)) {
      this.#wakeNext(key, true);
    }
  }

  #mayBeGranted(
    request: AcquireRequest,
    shares: MemoryShares | undefined,
    queue: MemoryQueue | undefined,
    place: bigint | null,
    nowMs: number,
  ): boolean {
    const { mode, token } = request;
    // What its own token had keeps the key.
    if (shares?.isKeptBy(token, nowMs)) {
      return false;
    }
    return mode === "exclusive"
      ? (shares === undefined || shares.load(nowMs).count === 0) && isNext(queue, token, place, nowMs)
      : fits(request, shares?.load(nowMs) ?? nothing, queue, place, nowMs);
  }

  #grant(request: AcquireRequest, process: MemoryProcess, nowMs: number): AcquireAnswer {
    const { key } = request;
    this.#fence += 1n;
    const lease = newLease(request, process, this.#fence, nowMs);
    const { capacity } = this.#grants.shares(key)?.load(nowMs) ?? nothing;
    const former = this.#grants.add(key, lease, nowMs);
    const takeover = former && takeoverOf(former, nowMs);
    if (request.mode === "exclusive") {
      return granted(lease, nowMs, takeover);
    }
    const load = this.#grants.shares(key)?.load(nowMs) ?? nothing;
    const hasMore = firstFits(load, this.#queues.of(key), nowMs);
    if (hasMore && takeover !== null) {
      this.#wakeNext(key); // nobody has let go of anything, and so told them
    }
    const isMixed = lease.capacity !== null && capacity !== lease.capacity && capacity !== Number.POSITIVE_INFINITY;
    return granted(lease, nowMs, takeover, hasMore, isMixed ? capacity : null);
  }

  /** Frees a key without its holder. */
  #end(key: string, lease: MemoryLease, reason: LossReason): void {
    const { token, fence, isReleased, process } = lease;
    this.#grants.remove(key, lease);
    if (!isReleased) {
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
      this.#grants.cool(key, lease);
    } else {
      this.#grants.remove(key, lease);
    }
    this.#wakeNext(key);
    return isInTime ? released : { outcome: "expired", reason: expiryReason(lease, nowMs) };
  }

  #whyGone(token: string): LossReason {
    return this.#ended.get(token) ?? "taken";
  }

  /** Whoever is next looks, after the answer to what has changed it. `always`: the first one does, also while it cannot be granted the key. */
  #wakeNext(key: string, always = false): void {
    const queue = this.#queues.of(key);
    if (queue === undefined) {
      return;
    }
    const nowMs = this.nowMs();
    const next = nextProcesses(this.#grants.held(key, nowMs), queue, nowMs);
    const head = always ? queue.head(nowMs) : undefined;
    for (const process of head === undefined ? next : next.add(head.process)) {
      soon(() => process.wake(key));
    }
  }
}
