import type { DetachedLock } from "../api/detached-lock.js";
import type { KeepAliveOptions, Lock } from "../api/lock.js";
import type { Claim } from "../claim/claim.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import { type HolderInfo, type LeaseLostError, type LossReason, UnavailableError } from "../errors/errors.js";
import { checkFunction, checkNames, checkRenewEveryMs, checkTtlMs } from "../errors/option-checks.js";
import type { Guard } from "../guard/guard.js";
import type { Callbacks } from "../observe/callbacks.js";
import type { Observer } from "../observe/observer.js";
import type { Activity } from "../runtime/activity.js";
import type { Background } from "../runtime/background.js";
import { after, type Clock, msBetween } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { Deadlines, LinkedList } from "../runtime/linked-list.js";
import { soon } from "../runtime/soon.js";
import type { Backend } from "../store/backend.js";
import type { Grant, GrantId, Holder } from "../store/messages.js";
import { type Detaching, detachNow } from "./detach.js";
import { Expiries } from "./expiries.js";
import { Guards } from "./guards.js";
import { HeldLock, type LockActions } from "./held-lock.js";
import { Lease, type LeaseOwner } from "./lease.js";
import { type HandOver, Release, type ReleaseContext } from "./release.js";
import { Renewals, renewNow } from "./renewals.js";

export interface HoldingsInit {
  readonly options: ResolvedLockerOptions;
  readonly backend: Backend;
  readonly activity: Activity;
  readonly background: Background;
  readonly callbacks: Callbacks;
  readonly observer: Observer;
  readonly handOver: HandOver;
  /** What sets that are not whole yet hold: nobody is told of it, but this process has it. */
  readonly parts?: Holdings;
}

/** The locks that this process holds, and what can be done with them. */
export class Holdings implements LockActions, LeaseOwner {
  readonly instance: string | null;
  readonly #options: ResolvedLockerOptions;
  readonly #clock: Clock;
  readonly #backend: Backend;
  readonly #activity: Activity;
  readonly #background: Background;
  readonly #callbacks: Callbacks;
  readonly #observer: Observer;
  readonly #leases: LinkedList<Lease> = new LinkedList();
  /** An object rather than a Map: see LinkedList. */
  readonly #byKey: Record<string, Lease | undefined> = Object.create(null);
  /** Those of keys that are shared, the oldest first. */
  readonly #shares: Record<string, Set<Lease> | undefined> = Object.create(null);
  readonly #expiries: Expiries;
  readonly #renewals: Renewals;
  readonly #releases: ReleaseContext;
  readonly #guards: Guards;
  readonly #parts: Holdings | null;
  /** The one that is being entered. */
  #newest: Lease | null = null;
  #onChange: (() => void) | null = null;

  constructor({ options, backend, activity, background, callbacks, observer, handOver, parts }: HoldingsInit) {
    this.instance = options.instance;
    this.#options = options;
    this.#clock = backend.clock;
    this.#backend = backend;
    this.#activity = activity;
    this.#background = background;
    this.#callbacks = callbacks;
    this.#observer = observer;
    this.#parts = parts ?? null;
    const { requestTimeoutMs } = options;
    this.#expiries = new Expiries(backend.clock, this.#leases);
    this.#renewals = new Renewals({
      backend,
      leases: this.#leases,
      observer,
      onError: (error) => callbacks.report(error),
    });
    this.#guards = new Guards({
      backend,
      activity,
      renewals: this.#renewals,
      toInfo: (key, holder) => this.holderInfo(key, holder),
      addLookup: (lookup) => background.add(lookup.catch((error) => callbacks.report(error))),
    });
    this.#releases = {
      backend,
      background,
      deadlines: new Deadlines<Release>(backend.clock, requestTimeoutMs),
      requestTimeoutMs,
      handOver,
      ended: (lease, heldMs) => {
        if (lease.phase === "released") {
          observer.released?.(lease, heldMs);
        }
      },
    };
  }

  /** Of several shares, the oldest. */
  get(key: string): Lock | undefined {
    for (const lease of this.#of(key)) {
      return lease.lock;
    }
    return undefined;
  }

  /** All on a key. */
  *on(key: string): Iterable<Lock> {
    for (const { lock } of this.#of(key)) {
      yield lock;
    }
  }

  has(key: string): boolean {
    return this.#byKey[key] !== undefined || this.#shares[key] !== undefined;
  }

  /** Whether it holds the key exclusively. */
  hasAlone(key: string): boolean {
    return this.#byKey[key] !== undefined;
  }

  /** Whether it holds the key by this very grant, under this token. */
  hasGrant(grant: GrantId): boolean {
    return this.#find(grant) !== undefined;
  }

  #find({ key, token, fence }: GrantId): Lease | undefined {
    for (const lease of this.#of(key)) {
      if (lease.token === token && lease.fence === fence) {
        return lease;
      }
    }
    return undefined;
  }

  *#of(key: string): Iterable<Lease> {
    const alone = this.#byKey[key];
    if (alone !== undefined) {
      yield alone;
    }
    yield* this.#shares[key] ?? [];
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Those of all keys or of one, the oldest first. */
  all(key?: string): readonly Lock[] {
    const locks = Array.from(this.#leases, ({ lock }) => lock);
    return key === undefined ? locks : locks.filter((lock) => lock.key === key);
  }

  /** All, each with when it was granted, on the monotonic clock. */
  grants(): { readonly lock: Lock; readonly grantedAtMs: number }[] {
    return Array.from(this.#leases, ({ lock, grantedAt }) => ({ lock, grantedAtMs: grantedAt.monotonicMs }));
  }

  /**
   * Turns a grant into a lock, and keeps it until it is released or lost. `renewedAgoMs`: how long ago it was granted or renewed elsewhere.
   * @throws UnavailableError when the grant has already expired
   */
  hold(claim: Claim, grant: Grant, renewedAgoMs = 0): Lease {
    // Read once: each look at the clocks takes longer than most of what is done here.
    const at = this.#clock.now();
    const msLeft = msBetween(at, grant.until);
    if (msLeft <= 0) {
      throw expiredOnArrival(claim);
    }
    const lease = new Lease(claim, grant, at, this.#backend, this);
    lease.lock = new HeldLock(lease, this);
    this.#activity.begin();
    this.#leases.add(lease);
    this.#expiries.watch(lease, at.monotonicMs, msLeft);
    this.#newest = lease;
    this.#enter(lease);
    this.#newest = null;
    const { keepAlive, renewEveryMs } = claim.terms;
    if (keepAlive) {
      this.#renewals.keepAlive(lease, renewEveryMs, null, at.monotonicMs - renewedAgoMs);
    }
    // If the session was replaced before the answer came, the lease must be proven under the new one.
    if (!lease.isProven) {
      this.#renewals.prove(lease);
    }
    return lease;
  }

  /** Ends a lease here without a word to anybody: it goes on in another handle, or its claim's last word ends it. */
  drop(lease: Lease): void {
    if (lease.phase === "held") {
      this.#forget(lease);
      lease.endDetached();
    }
  }

  lost(lease: Lease, error: LeaseLostError): void {
    this.#forget(lease);
    if (lease === this.#newest) {
      soon(() => this.#tellLoss(lease, error)); // once it has been told that it was acquired
    } else {
      this.#tellLoss(lease, error);
    }
  }

  #tellLoss(lease: Lease, error: LeaseLostError): void {
    this.#observer.lost?.(lease, error, lease.heldMs);
    // A renewal that was sent may still commit.
    this.#background.add(lease.claim.lastWord());
    const { onLost } = lease.terms;
    if (onLost !== null) {
      this.#callbacks.call(() => onLost(lease.lock, error));
    } else if (!lease.isWatched) {
      this.#callbacks.unheard(error);
    }
  }

  ended(): void {
    this.#activity.end();
  }

  async renew(lease: Lease, ttlMs: number | undefined): Promise<void> {
    const wantedMs = ttlMs === undefined ? lease.ttlMs : checkTtlMs(ttlMs);
    lease.refuseUnlessHeld();
    lease.claim.extend(wantedMs);
    await this.#activity.during(() => renewNow(this.#backend, lease, wantedMs, this.#options.requestTimeoutMs));
    lease.refuseUnlessHeld();
    lease.ttlMs = wantedMs;
    this.#observer.renewed?.(lease);
  }

  release(lease: Lease): Promise<void> {
    return new Promise((resolve, reject) => {
      const at = this.#clock.now();
      lease.refuseUnlessHeld(at); // what it throws rejects the promise
      lease.startRelease();
      this.#forget(lease);
      new Release(lease, this.#releases, at, resolve, reject).start();
    });
  }

  keepAlive(lease: Lease, options: KeepAliveOptions): number {
    const given = checkNames("keepAlive's options", options, ["everyMs", "onError"]);
    const everyMs =
      given.everyMs === undefined
        ? Math.min(lease.terms.renewEveryMs, Math.max(20, Math.floor(lease.ttlMs / 3)))
        : checkRenewEveryMs(given.everyMs, lease.ttlMs, "everyMs");
    const onError =
      given.onError === undefined ? null : checkFunction<(error: unknown) => void>("onError", given.onError);
    lease.refuseUnlessHeld();
    return this.#renewals.keepAlive(lease, everyMs, onError === null ? null : this.#callbacks.listener(onError));
  }

  stopKeepAlive(lease: Lease, number: number): Promise<void> {
    return this.#activity.during(() => this.#renewals.stopKeepAlive(lease, number));
  }

  async detach(lease: Lease): Promise<DetachedLock> {
    lease.refuseUnlessHeld();
    const detaching: Detaching = {
      backend: this.#backend,
      renewals: this.#renewals,
      lease,
      timeoutMs: this.#options.requestTimeoutMs,
      onDetached: () => {
        this.#forget(lease);
        lease.endDetached();
        this.#observer.detached?.(lease, lease.heldMs);
      },
    };
    await this.#activity.during(() => detachNow(detaching));
    const { key, token, fence } = lease;
    return { key, token, fence: fence.toString(), instance: this.instance };
  }

  guard(lease: Lease): Guard {
    return this.#guards.of([lease]);
  }

  /** Of several leases, in the order of their keys. */
  guardAll(leases: readonly [Lease, ...Lease[]]): Guard {
    return this.#guards.of(leases);
  }

  holderInfo(key: string, holder: Holder | null): HolderInfo | null {
    return holder === null
      ? null
      : {
          owner: holder.owner,
          fence: holder.fence,
          weight: holder.weight,
          isThisProcess: this.isOurs(key, holder.fence, holder.sessionId),
          expiresAt: new Date(holder.expiresAtMs),
        };
  }

  isOurs(key: string, fence: bigint | null, sessionId: number | null): boolean {
    if (sessionId !== null && sessionId === this.#backend.presence.sessionId) {
      return true;
    }
    for (const lease of this.#of(key)) {
      if (lease.fence === fence) {
        return true;
      }
    }
    return this.#parts?.isOurs(key, fence, sessionId) ?? false;
  }

  reportError(error: unknown): void {
    this.#callbacks.report(error);
  }

  /** Called when the store says that a grant has ended. */
  lose(grant: GrantId, reason: LossReason): void {
    this.#find(grant)?.lose(reason);
  }

  /** Called when a new session is active: every lease must be proven under it. */
  proveAll(): void {
    for (const lease of this.#leases) {
      this.#renewals.prove(lease);
    }
  }

  /** Called when the locker is closing: the signals fire, but the locks are held until they are released. */
  announceClosing(): void {
    for (const lease of this.#stillHeld()) {
      lease.announceClosing();
    }
  }

  /** Resolves when nothing is held any more, or after `ms`. */
  async drain(ms: number): Promise<void> {
    const deadline = after(this.#clock.now(), ms);
    while (this.size > 0 && this.#clock.msUntil(deadline) > 0) {
      const changed = new AbortController();
      this.#onChange = () => changed.abort();
      await this.#clock.sleep(this.#clock.msUntil(deadline), { signal: changed.signal });
    }
    this.#onChange = null;
  }

  /** Releases all locks, whether or not their holders are done. Never rejects. */
  async releaseAll(): Promise<void> {
    const releases: Promise<void>[] = [];
    for (const lease of this.#stillHeld()) {
      releases.push(this.release(lease).catch(() => undefined));
      lease.takeForClosing();
    }
    await Promise.all(releases);
  }

  /** One by one, for whoever is told of one may release others. */
  *#stillHeld(): Generator<Lease> {
    for (const lease of [...this.#leases]) {
      if (lease.phase === "held") {
        yield lease;
      }
    }
  }

  /** Called when nothing is held and no call is in progress. */
  stopTimers(): void {
    this.#expiries.stop();
    this.#renewals.stop();
    this.#releases.deadlines.stop();
  }

  /** Two grants of one key in this process (after a forced release, or because the server's clock was set): the older one has ended. */
  #enter(lease: Lease): void {
    if (lease.terms.share !== null || this.#shares[lease.key] !== undefined) {
      this.#enterShared(lease);
      return;
    }
    const previous = this.#byKey[lease.key];
    const older = previous !== undefined && previous.fence > lease.fence ? lease : previous;
    if (older !== lease) {
      this.#byKey[lease.key] = lease;
    }
    if (this.#backend.excludes) {
      older?.lose("taken");
    }
  }

  /** The same where the key is shared: others that share it stand beside it, but for the old handle of a grant that has come back by adoption. */
  #enterShared(lease: Lease): void {
    const { key, fence } = lease;
    const isAlone = lease.terms.share === null;
    const alone = this.#byKey[key];
    const others = alone === undefined ? [] : [alone];
    if (isAlone || lease.claim.wasHeld) {
      for (const share of this.#shares[key] ?? []) {
        if (isAlone || share.fence === fence) {
          others.push(share);
        }
      }
    }
    if (isAlone) {
      this.#byKey[key] = lease;
    } else {
      this.#shares[key] ??= new Set();
      this.#shares[key].add(lease);
    }
    if (!this.#backend.excludes) {
      return;
    }
    for (const other of others) {
      const older = other.fence > fence ? lease : other;
      older.lose("taken");
    }
  }

  #forget(lease: Lease): void {
    this.#leases.remove(lease);
    if (lease.expiryTimer !== null) {
      this.#expiries.drop(lease);
    }
    const shares = lease.terms.share === null ? undefined : this.#shares[lease.key];
    if (shares?.delete(lease) && shares.size === 0) {
      delete this.#shares[lease.key];
    }
    if (this.#byKey[lease.key] === lease) {
      delete this.#byKey[lease.key];
      if (!this.#backend.excludes) {
        this.#findNewest(lease.key);
      }
    }
    this.#onChange?.();
  }

  /** Of several of one key the newest is the one that `get` knows. */
  #findNewest(key: string): void {
    for (const other of this.#leases) {
      if (other.key === key && other.terms.share === null) {
        this.#byKey[key] = other;
      }
    }
  }
}

/** The answer took longer than the lease lasts, so there is no lock to return. */
function expiredOnArrival({ key, terms: { ttlMs, maxHoldMs } }: Claim): UnavailableError {
  const [option, ms] = maxHoldMs < ttlMs ? ["maxHoldMs", maxHoldMs] : ["ttlMs", ttlMs];
  return new UnavailableError({
    outcome: "unknown",
    message: `The lock on ${quote(key)} was granted, but had expired when the answer came: that took longer than ${option}, ${ms} ms. It is released in the background. Raise ${option}, or find out why answers take so long.`,
  });
}
