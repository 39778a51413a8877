import type { Acquisition, Granted } from "./acquisition.js";
import type { Activity } from "./activity.js";
import type { Background } from "./background.js";
import type { Callbacks } from "./callbacks.js";
import { after, elapsedMs, isPast, msUntil, now, sleep } from "./clock.js";
import { quote } from "./describe.js";
import { type HolderInfo, UnavailableError } from "./errors.js";
import { Guard } from "./fencing/guard.js";
import { Lease } from "./lease.js";
import { type KeepAliveOptions, Lock, type LockActions } from "./lock.js";
import type { Observer } from "./observer.js";
import { checkFunction, checkNames, checkRenewEveryMs, checkTtlMs } from "./option-checks.js";
import type { PostgresClient } from "./postgres-client.js";
import { releaseNow } from "./release.js";
import { Renewals, renewNow } from "./renewals.js";
import type { ResolvedAcquireOptions, ResolvedLockerOptions } from "./resolve-options.js";
import type { Holder, Store } from "./store.js";
import { withTimeout } from "./timeout.js";
import type { Waiting } from "./waiting.js";

export interface HoldingsInit {
  readonly options: ResolvedLockerOptions;
  readonly store: Store;
  readonly waiting: Waiting;
  readonly activity: Activity;
  readonly background: Background;
  readonly callbacks: Callbacks;
  readonly observer: Observer;
}

/** Who holds a key is worth waiting for as long as this, by one whose guard was refused. */
const HOLDER_MS = 1_000;

interface Held {
  readonly lease: Lease;
  readonly lock: Lock;
}

/** The locks that this process holds, and what their handles can do with them. */
export class Holdings implements LockActions {
  readonly #options: ResolvedLockerOptions;
  readonly #store: Store;
  readonly #waiting: Waiting;
  readonly #activity: Activity;
  readonly #background: Background;
  readonly #callbacks: Callbacks;
  readonly #observer: Observer;
  readonly #renewals: Renewals;
  readonly #held = new Map<string, Held>();
  #onChange: (() => void) | null = null;

  constructor({ options, store, waiting, activity, background, callbacks, observer }: HoldingsInit) {
    this.#options = options;
    this.#store = store;
    this.#waiting = waiting;
    this.#activity = activity;
    this.#background = background;
    this.#callbacks = callbacks;
    this.#observer = observer;
    this.#renewals = new Renewals(store, observer, (error) => callbacks.report(error));
  }

  get(key: string): Lock | undefined {
    return this.#held.get(key)?.lock;
  }

  get size(): number {
    return this.#held.size;
  }

  all(): readonly Lock[] {
    return [...this.#held.values()].map(({ lock }) => lock);
  }

  /** Makes a lock of a grant, and keeps it until it is released or lost. @throws UnavailableError when it is over already */
  hold(acquisition: Acquisition, grant: Granted, options: ResolvedAcquireOptions): Lock {
    refuseIfPast(grant, acquisition.key, options.ttlMs);
    const leave = this.#activity.enter();
    const lease = new Lease({
      acquisition,
      grant,
      terms: options,
      presence: this.#store.presence,
      hasPresence: this.#options.presence === "on",
      onLost: (lost, error) => {
        this.#forget(lost);
        this.#observer.lost?.(lost, error, elapsedMs(lost.grantedAt));
        // A renewal that was on its way may still commit.
        this.#background.add(acquisition.lastWord());
        this.#callbacks.call(() => options.onLost?.(lock, error));
      },
      onEnd: leave,
    });
    const lock = new Lock(lease, this);
    this.#renewals.add(lease);
    this.#enter({ lease, lock });
    if (options.keepAlive) {
      this.#renewals.keepAlive(lease, options.renewEveryMs, null);
    }
    // The session was replaced while the grant was on its way.
    if (lease.phase === "held" && !lease.isHeld) {
      this.#renewals.prove(lease);
    }
    return lock;
  }

  async renew(lease: Lease, ttlMs: number | undefined): Promise<void> {
    const wantedMs = ttlMs === undefined ? lease.ttlMs : checkTtlMs(ttlMs);
    refuseUnlessHeld(lease);
    lease.acquisition.extend(wantedMs);
    await renewNow(this.#store, lease, wantedMs, this.#options.requestTimeoutMs);
    refuseUnlessHeld(lease);
    lease.ttlMs = wantedMs;
    this.#observer.renewed?.(lease);
  }

  async release(lease: Lease): Promise<void> {
    refuseUnlessHeld(lease);
    lease.startRelease();
    this.#forget(lease);
    const heldMs = elapsedMs(lease.grantedAt);
    const released = releaseNow(lease, this.#options.requestTimeoutMs, (work) => this.#background.add(work));
    // `close` must not take the connection from beneath it.
    this.#background.add(released.catch(() => undefined));
    try {
      await released;
    } finally {
      if (lease.phase === "released") {
        this.#observer.released?.(lease, heldMs);
      }
      this.#waiting.wakeKey(lease.key);
    }
  }

  keepAlive(lease: Lease, options: KeepAliveOptions): void {
    const given = checkNames("keepAlive's options", options, ["everyMs", "onError"]);
    const everyMs =
      given.everyMs === undefined
        ? Math.min(lease.terms.renewEveryMs, Math.max(20, Math.floor(lease.ttlMs / 3)))
        : checkRenewEveryMs(given.everyMs, lease.ttlMs, "everyMs");
    const onError =
      given.onError === undefined ? null : checkFunction<(error: unknown) => void>("onError", given.onError);
    refuseUnlessHeld(lease);
    const report = onError === null ? null : (error: unknown) => this.#callbacks.reportTo(onError, error);
    this.#renewals.keepAlive(lease, everyMs, report);
  }

  stopKeepAlive(lease: Lease): void {
    this.#renewals.stopKeepAlive(lease);
  }

  guard(lease: Lease): Guard {
    refuseUnlessHeld(lease);
    const { key, fence, terms } = lease;
    return new Guard({
      key,
      fence,
      timeoutMs: terms.guardTimeoutMs,
      place: this.#store.place,
      onStale: () => this.#findHolder(lease),
      onElsewhere: () => this.#background.add(this.#store.findPlace().catch((error) => this.#callbacks.report(error))),
    });
  }

  get sql(): PostgresClient | null {
    return this.#options.sql;
  }

  holderInfo(key: string, holder: Holder | null): HolderInfo | null {
    return holder === null
      ? null
      : {
          owner: holder.owner,
          fence: holder.fence,
          isThisProcess: this.isOurs(key, holder.fence, holder.sessionId),
          expiresAt: new Date(holder.expiresAtMs),
        };
  }

  isOurs(key: string, fence: bigint | null, sessionId: number | null): boolean {
    const isOurSession = sessionId !== null && sessionId === this.#store.presence.sessionId;
    return isOurSession || (fence !== null && this.get(key)?.fence === fence);
  }

  reportError(error: unknown): void {
    this.#callbacks.report(error);
  }

  /** A new session stands: every lease must show under it that it is still held. */
  proveAll(): void {
    this.#renewals.proveAll();
  }

  /** The locker is closing: the signals fire, while the locks stand until they are released. */
  announceClosing(): void {
    for (const { lease } of this.#held.values()) {
      lease.announceClosing();
    }
  }

  /** Resolves when nothing is held any more, or after `ms`. */
  async drain(ms: number): Promise<void> {
    const deadline = after(now(), ms);
    while (this.#held.size > 0 && msUntil(deadline) > 0) {
      const changed = new AbortController();
      this.#onChange = () => changed.abort();
      await sleep(msUntil(deadline), { keepsAlive: true, signal: changed.signal });
    }
    this.#onChange = null;
  }

  /** Releases everything beneath its holders. Never rejects. */
  async releaseAll(): Promise<void> {
    const releases = [...this.#held.values()].map(({ lease }) => {
      const released = this.release(lease).catch(() => lease.lose("closed"));
      lease.takeForClosing();
      return released;
    });
    await Promise.all(releases);
  }

  /** A guard says that the lease is over: then the lease, and its signal, shall hear of it now and not at the next renewal. */
  async #findHolder(lease: Lease): Promise<HolderInfo | null> {
    this.#renewals.prove(lease);
    try {
      const holder = await withTimeout(this.#store.holderOf(lease.key), HOLDER_MS);
      // Its own row, when it was taken away by force.
      return holder?.fence === lease.fence ? null : this.holderInfo(lease.key, holder);
    } catch {
      return null;
    }
  }

  /** Forced away, or the server's clock was set: of two grants of one key in this process, the older one is over. */
  #enter({ lease, lock }: Held): void {
    const previous = this.#held.get(lease.key)?.lease;
    const over = previous !== undefined && previous.fence > lease.fence ? lease : previous;
    if (over !== lease) {
      this.#held.set(lease.key, { lease, lock });
    }
    over?.lose("taken");
  }

  #forget(lease: Lease): void {
    this.#renewals.remove(lease);
    if (this.#held.get(lease.key)?.lease === lease) {
      this.#held.delete(lease.key);
    }
    this.#onChange?.();
  }
}

function refuseUnlessHeld(lease: Lease): void {
  if (lease.phase !== "held") {
    throw lease.loss ?? lease.notHeld("it was released");
  }
}

/** The answer took longer than the lease lasts: what could be returned is not a lock. */
function refuseIfPast({ until }: Granted, key: string, ttlMs: number): void {
  if (isPast(until)) {
    throw new UnavailableError({
      outcome: "unknown",
      message: `The lock on ${quote(key)} was granted, but had ended when the answer came: that took longer than ttlMs, ${ttlMs} ms. It is released in the background. Raise ttlMs, or find out why answers take so long.`,
    });
  }
}
