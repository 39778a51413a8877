import type { LeaseholdError, LossReason } from "../errors/errors.js";
import type { Feature, FeatureState } from "./capabilities.js";
import type { MigrateOptions } from "./migrate-options.js";
import type { PingResult, SweepResult } from "./results.js";
import type { LockMode } from "./share-options.js";

/** Makes the store of one locker. The locker closes it. Lockers share their locks when their stores keep them in the same place. */
export type StoreFactory = (context: StoreContext) => Store;

/** What a store is told of its locker, and what it tells it. */
export interface StoreContext {
  /** How long a request may take, in milliseconds: the locker gives up then, whatever the store does. */
  readonly requestTimeoutMs: number;
  /** How long after its last sign of life a dead process keeps its locks, in milliseconds, in a store with `crash-detection`. */
  readonly takeoverDelayMs: number;
  /**
   * To be called when somebody who waits for this key may be next; null: for any key. Saves the wait the second until its next look. Where a key
   * is shared, several may be next: then it is to be called in the process of each.
   */
  onWake(key: string | null): void;
  /**
   * To be called when what stood for this process was replaced, and its locks may have been given away: a new session, for example. None
   * of them is believed until a renewal proves it.
   */
  onReconnected(): void;
  /**
   * To be called when the store knows that a grant has ended without its holder: it was taken by force, for example. Then its signal fires at
   * once; otherwise the next renewal finds out.
   */
  onLost(grant: GrantRequest, reason: LossReason): void;
  /** To be called with what fails in the background. */
  onError(error: LeaseholdError): void;
}

/**
 * The port between a locker and the leases: what a store of your own has to do. The locker renews, waits, gives up, cleans up after calls
 * that had no answer and works out how long a grant may be believed. The store keeps one lease for each key, or several that share it if it has
 * the feature `shared-locks`, and decides by its own clock. Without that feature every request is for an exclusive lock.
 *
 * Each method rejects with a LeaseholdError: with UnavailableError when asking again may help. Any other error counts as an
 * UnavailableError whose outcome is unknown. A method that is optional is a capability that may be missing.
 *
 * `storeConformance` of `leasehold/testing` tests all that is said here.
 */
export interface Store {
  /** Shown by `ping`, `capabilities` and errors. */
  readonly name: string;
  /** What it offers, and why or why not. What is missing counts as off. */
  readonly features: Readonly<Partial<Record<Feature, FeatureState>>>;
  /** Connects, and refuses what is not safe. Called before the first request, and again until it has succeeded. */
  open(): Promise<OpenAnswer>;
  /** Grants, queues or refuses. The same token asked again is the same grant, with the same fence. */
  acquire(request: AcquireRequest): Promise<AcquireAnswer>;
  /** Frees what this token holds. Before the minimum hold is over the key stays locked until then. */
  release(request: GrantRequest): Promise<ReleaseAnswer>;
  /** Ends an acquire by its token: leaves the queue, and frees what was granted to it. */
  abandon(request: AbandonRequest): Promise<ReleaseAnswer>;
  /** Extends the grant, never shortens it, and never revives it. */
  renew(request: RenewRequest): Promise<RenewAnswer>;
  /** Who has the key. Changes nothing. */
  check(key: string): Promise<KeyState>;
  /** One round trip. */
  ping(): Promise<PingResult>;
  /** Gives everything back. Locks that are still held end at their TTL. */
  close(): Promise<void>;
  /** Creates or updates what it stores in. Left out: there is nothing to create. */
  migrate?(options: MigrateOptions): Promise<void>;
  /** Deletes what nobody needs. Left out: nothing is left over. */
  sweep?(): Promise<SweepResult>;
  /** Takes a key from its holder. */
  forceRelease?(request: ForceReleaseRequest): Promise<ForceReleaseAnswer>;
  /** Raises the mark of a resource to this fence, unless it is higher already (`stale`). */
  checkFence?(resource: string, fence: bigint): Promise<"passed" | "stale">;
  /**
   * Gives a grant that is handed over a new token, which its new holder alone knows: the old one is worth nothing from then on. The same
   * new token asked again is the same adoption, and never makes it end earlier. Left out: locks of this store cannot be handed over.
   */
  adopt?(request: AdoptRequest): Promise<AdoptAnswer>;
  /**
   * Renews, and ties the grant to no process any more: the end of this one leaves it alone until it expires. Left out: a renewal does, as
   * in a store without `crash-detection`.
   */
  detach?(request: RenewRequest): Promise<RenewAnswer>;
  /** Gives connections back until the next request. */
  rest?(): Promise<void>;
}

/** The answer to `open`. */
export interface OpenAnswer {
  /** The store's clock, in milliseconds. The locker gives deadlines by it. */
  readonly nowMs: number;
}

/** A store's two times. The locker works out from them, and from when it asked, until when it may believe the grant. */
export interface Validity {
  /** By the store's clock, when it answered. */
  readonly nowMs: number;
  /** When the grant ends unless it is renewed, by the store's clock. */
  readonly expiresAtMs: number;
}

/** A holder, as the store knows it. */
export interface Holder {
  /** As it named itself; null when it gave no name. */
  readonly owner: string | null;
  /** The fence of its grant. */
  readonly fence: bigint;
  /** What it takes of the key's capacity; 1 unless it is a part of a semaphore. */
  readonly weight: number;
  /** When its grant ends unless it is renewed, by the store's clock. */
  readonly expiresAtMs: number;
}

/** One look at a key. */
export interface AcquireRequest {
  /** The full key. */
  readonly key: string;
  /** Made by the locker, new for each acquire. Whoever knows it can renew and release. */
  readonly token: string;
  /** Who others see. */
  readonly owner: string;
  /**
   * `exclusive`: beside no other grant. `shared`, `semaphore`: beside others of these two, as long as the weights of all that are held, of all that
   * wait ahead and its own are at most the smallest capacity of these. Never before an exclusive one that waits ahead. Always `exclusive`
   * for a store without `shared-locks`.
   */
  readonly mode: LockMode;
  /** Of a semaphore; null of the other two. */
  readonly capacity: number | null;
  /** 1 unless it is a semaphore. */
  readonly weight: number;
  /** How long the grant lasts, in milliseconds. */
  readonly ttlMs: number;
  /** A release before it keeps the key from everybody until then, in milliseconds after the grant. */
  readonly minHoldMs: number;
  /** No renewal goes beyond it, in milliseconds after the grant; null for no limit. */
  readonly maxHoldMs: number | null;
  /** JSON text for others to read. */
  readonly metadata: string | null;
  /** Whether it joins the queue when it is not granted. It looks again once a second at least; an entry that did not for 3 s may be dropped. */
  readonly waits: boolean;
  /** Its place in the queue, from an earlier answer. */
  readonly ticket: bigint | null;
  /** From this moment of the store's clock on the store must answer `late`, and do nothing. */
  readonly notAfterMs: number;
}

/** The answer to a look. A store without a queue answers `held` to those that would wait, too: then they look once a second. */
export type AcquireAnswer =
  | GrantedAnswer
  | {
      /** It is in the queue. */
      readonly outcome: "queued";
      /** Its place: the lower ones are served first. */
      readonly ticket: bigint;
      /** Who has the key (of several, the oldest), or had it last and keeps it by its minimum hold; null when it is free. */
      readonly holder: Holder | null;
      /** When a look is worth while, in milliseconds from now: when the lease ends, say. Null: in a second, or when woken. */
      readonly lookInMs: number | null;
    }
  | {
      /** Somebody has the key, or waits for it. */
      readonly outcome: "held";
      /** Who has it (of several, the oldest), or had it last and keeps it by its minimum hold; null when it is free, and somebody waits for it. */
      readonly holder: Holder | null;
    }
  | {
      /** It came after `notAfterMs`: nothing was done. */
      readonly outcome: "late";
      /** By the store's clock: the locker sets its own idea of it right, and asks again. */
      readonly nowMs: number;
    };

/** It has the key. */
export interface GrantedAnswer extends Validity {
  /** It is held from now on. */
  readonly outcome: "granted";
  /** Larger than the fence of every earlier grant of this key. */
  readonly fence: bigint;
  /** When it was granted, by the store's clock. */
  readonly acquiredAtMs: number;
  /** From whom it was taken without a release. Left out or null: the key was free. */
  readonly takeover?: Takeover | null;
  /** Of a shared key: whether others who wait may be granted it beside this one. Left out: somebody looks, and finds out. */
  readonly hasMore?: boolean;
  /**
   * Of a part of a semaphore: the smallest capacity of those who share the key already, if that is not the one that was asked for. The locker
   * tells its `onError`. Left out or null: it is, or the store does not know.
   */
  readonly otherCapacity?: number | null;
}

/** From whom a key was taken without a release. */
export interface Takeover {
  /** As it named itself. */
  readonly owner: string | null;
  /** The fence of its grant. */
  readonly fence: bigint;
  /** `expired`: its lease had expired · `orphaned`: its process was found dead before that. */
  readonly reason: "expired" | "orphaned";
  /** When its lease expired, or its process was last seen alive. */
  readonly sinceMs: number | null;
}

/** What is asked about a grant. */
export interface GrantRequest {
  /** The full key. */
  readonly key: string;
  /** Must match. */
  readonly token: string;
  /** Must match. */
  readonly fence: bigint;
}

/** A renewal. */
export interface RenewRequest extends GrantRequest {
  /** The grant lasts this much longer from now on, unless it does anyway. 0: only asks whether it stands. */
  readonly ttlMs: number;
}

/** The end of an acquire. */
export interface AbandonRequest {
  /** The full key. */
  readonly key: string;
  /** Whatever this token has. */
  readonly token: string;
  /** Whether its lock was held: then the minimum hold counts, as with a release. */
  readonly wasHeld: boolean;
}

/** The answer to a release, and to the end of an acquire. */
export interface ReleaseAnswer {
  /** `released`: freed now · `expired`: freed, but it had expired before · `gone`: this token has nothing (any more). */
  readonly outcome: "released" | "expired" | "gone";
  /** Why it is gone, if that is known. Null: nothing was lost, or nobody knows. */
  readonly reason: LossReason | null;
}

/** The answer to a renewal. */
export type RenewAnswer =
  | ({ readonly outcome: "renewed" } & Validity)
  | {
      /** It has ended for good. */
      readonly outcome: "lost";
      /** Why. */
      readonly reason: LossReason;
    };

/** A grant that goes on with another holder. */
export interface AdoptRequest extends GrantRequest {
  /** Made by the locker, new for each adoption. It takes the place of `token`. */
  readonly newToken: string;
  /** Who others see from now on. */
  readonly owner: string;
  /** The grant lasts for this long from now on, in milliseconds. */
  readonly ttlMs: number;
  /** No renewal goes beyond it, in milliseconds from now, nor beyond the limit that the grant has already; null for no other limit. */
  readonly maxHoldMs: number | null;
  /** From this moment of the store's clock on the store must answer `late`, and do nothing. */
  readonly notAfterMs: number;
}

/** The answer to an adoption. */
export type AdoptAnswer =
  | AdoptedAnswer
  | {
      /** It has ended, or somebody else has adopted it (`taken`). */
      readonly outcome: "lost";
      /** Why. */
      readonly reason: LossReason;
    }
  | {
      /** It is tied to a process that may be alive: its holder has not let go of it. */
      readonly outcome: "attached";
      /** Who that is. */
      readonly holder: Holder | null;
    }
  | {
      /** It came after `notAfterMs`: nothing was done. */
      readonly outcome: "late";
      /** By the store's clock: the locker sets its own idea of it right, and asks again. */
      readonly nowMs: number;
    };

/** It goes on here. */
export interface AdoptedAnswer extends Validity {
  /** Under its new token, and no other. */
  readonly outcome: "adopted";
  /** How it was asked for. */
  readonly mode: LockMode;
  /** Of a semaphore; null of the other two. */
  readonly capacity: number | null;
  /** 1 unless it is a semaphore. */
  readonly weight: number;
  /** When it was granted, by the store's clock. */
  readonly acquiredAtMs: number;
  /** When it ends, renewed or not, by the store's clock; null: no limit. */
  readonly maxHoldUntilMs: number | null;
  /** JSON text that it was acquired with. */
  readonly metadata: string | null;
}

/** The answer to a check. */
export interface KeyState {
  /** `cooling`: within the minimum hold of a lock that was released · `revoked`: taken by force, and not yet let go. */
  readonly state: "free" | "held" | "revoked" | "cooling" | "orphaned" | "expired";
  /** How it is held, or was last; `exclusive` when it is free. */
  readonly mode: LockMode;
  /** Who has it, or had it last, the oldest first; empty when it is free or cooling. */
  readonly holders: readonly Holder[];
  /** When the oldest was granted, by the store's clock. */
  readonly acquiredAtMs: number | null;
  /** When the key is free at the latest; null when it is free now. */
  readonly freeAtMs: number | null;
  /** By the store's clock, when it answered. */
  readonly nowMs: number;
  /** JSON text, of the oldest. */
  readonly metadata: string | null;
  /** How many wait. */
  readonly waiters: number;
}

/** A release by force. Of a key that is shared it takes the share with the fence, or all of them. */
export interface ForceReleaseRequest {
  /** The full key. */
  readonly key: string;
  /** Only the grant with this fence; null: whichever there is. */
  readonly fence: bigint | null;
  /** Frees it now, whatever its holder believes. Otherwise the holder loses it with its next renewal, or at its expiry. */
  readonly immediate: boolean;
}

/** The answer to a release by force. */
export interface ForceReleaseAnswer {
  /** `gone`: nobody had it. */
  readonly outcome: "revoked" | "released" | "gone";
  /** When what was taken is free at the latest; null when it is free now. */
  readonly freeAtMs: number | null;
  /** Whom it was taken from, the oldest first; empty for the minimum hold of a lock that was released. */
  readonly holders: readonly Holder[];
}
