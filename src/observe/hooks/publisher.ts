import { channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { Lock } from "../../api/lock.js";
import type { SweepResult } from "../../api/results.js";
import { modeOf } from "../../config/share.js";
import type { LeaseLostError } from "../../errors/errors.js";
import { processWide } from "../../runtime/process-wide.js";
import type { AcquireOutcome, ObservedClaim, ObservedLease, ObservedTerms, Observer } from "../observer.js";
import type {
  AcquireMessage,
  AcquireTrace,
  AdoptMessage,
  DetachMessage,
  LockMessage,
  LostMessage,
  ReleaseMessage,
  SweepMessage,
  TakeoverMessage,
  WithLockTrace,
} from "./messages.js";
import { traced } from "./trace.js";

const channels = {
  acquire: channel("leasehold:acquire"),
  release: channel("leasehold:release"),
  detach: channel("leasehold:detach"),
  adopt: channel("leasehold:adopt"),
  lost: channel("leasehold:lost"),
  takeover: channel("leasehold:takeover"),
  sweep: channel("leasehold:sweep"),
};
/** If it has no subscribers, `traceAcquire` need not be called. */
export const acquiring: TracingChannel<unknown, AcquireTrace> = tracingChannel("leasehold:acquire");
const withLock = tracingChannel("leasehold:with-lock") as TracingChannel<unknown, WithLockTrace>;

/** Counted over all copies of this package, for they publish on the same channels. */
const lockers = processWide("lockers", () => ({ made: 0 }));

export function nextLockerId(): number {
  lockers.made += 1;
  return lockers.made;
}

/**
 * Publishes what a locker does on channels of node:diagnostics_channel. A message is made only if the channel has
 * subscribers. Node turns errors of subscribers into uncaught exceptions; they do not reach the locker.
 */
export class Publisher implements Observer {
  readonly lockerId: number;
  readonly #instance: string | null;

  /** `lockerId`: of the locker that it is a part of. */
  constructor(instance: string | null = null, lockerId: number = nextLockerId()) {
    this.#instance = instance;
    this.lockerId = lockerId;
  }

  acquireEnded(
    claim: ObservedClaim,
    outcome: AcquireOutcome,
    waitedMs: number,
    lock: Lock | null,
    error: unknown,
  ): void {
    if (lock !== null && channels.takeover.hasSubscribers) {
      this.#takeover(claim, lock);
    }
    if (channels.acquire.hasSubscribers) {
      const { isContended } = claim;
      const fence = lock?.fence.toString() ?? null;
      const about = this.#about(claim);
      channels.acquire.publish({ ...about, outcome, waitedMs, isContended, fence, error } satisfies AcquireMessage);
    }
  }

  released(lease: ObservedLease, heldMs: number): void {
    if (channels.release.hasSubscribers) {
      const fence = lease.fence.toString();
      channels.release.publish({ ...this.#about(lease), fence, heldMs } satisfies ReleaseMessage);
    }
  }

  detached(lease: ObservedLease, heldMs: number): void {
    if (channels.detach.hasSubscribers) {
      const fence = lease.fence.toString();
      channels.detach.publish({ ...this.#about(lease), fence, heldMs } satisfies DetachMessage);
    }
  }

  adopted(lease: ObservedLease, heldMs: number): void {
    if (channels.adopt.hasSubscribers) {
      const fence = lease.fence.toString();
      channels.adopt.publish({ ...this.#about(lease), fence, heldMs } satisfies AdoptMessage);
    }
  }

  lost(lease: ObservedLease, { reason }: LeaseLostError, heldMs: number): void {
    if (channels.lost.hasSubscribers) {
      const fence = lease.fence.toString();
      channels.lost.publish({ ...this.#about(lease), fence, reason, heldMs } satisfies LostMessage);
    }
  }

  swept(result: SweepResult): void {
    if (channels.sweep.hasSubscribers) {
      const message: SweepMessage = { lockerId: this.lockerId, instance: this.#instance, ...result };
      channels.sweep.publish(message);
    }
  }

  /** Runs a call that acquires as an operation of the tracing channel `leasehold:acquire`. */
  traceAcquire<Value>(
    key: string,
    terms: ObservedTerms & Pick<AcquireTrace, "ttlMs" | "waitMs">,
    work: () => Promise<Value>,
    lockOf: (value: Value) => Lock | null,
  ): Promise<Value> {
    const makeContext = (): AcquireTrace => {
      const { ttlMs, waitMs } = terms;
      return { ...this.#about({ key, terms }), ttlMs, waitMs };
    };
    return traced(acquiring, makeContext, work, (value) => {
      const lock = lockOf(value);
      const result = { outcome: lock === null ? "held" : "granted", fence: lock?.fence.toString() ?? null } as const;
      return result satisfies AcquireTrace["result"];
    });
  }

  /** Runs a call that locks and runs a body as an operation of the tracing channel `leasehold:with-lock`. */
  traceWithLock<Value>(
    key: string | readonly string[],
    work: () => Promise<Value>,
    isAcquired: (value: Value) => boolean,
    instance: string | null = this.#instance,
  ): Promise<Value> {
    const makeContext = (): WithLockTrace => {
      return { lockerId: this.lockerId, keys: typeof key === "string" ? [key] : key, instance };
    };
    return traced(withLock, makeContext, work, (value) => {
      return { isAcquired: isAcquired(value) } satisfies WithLockTrace["result"];
    });
  }

  #takeover(claim: ObservedClaim, { fence }: Lock): void {
    const { takeover } = claim;
    if (takeover !== null) {
      const { owner, reason, sinceMs } = takeover;
      const message: TakeoverMessage = {
        ...this.#about(claim),
        fence: fence.toString(),
        reason,
        from: { owner, fence: takeover.fence.toString() },
        since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
      };
      channels.takeover.publish(message);
    }
  }

  #about({ key, terms }: { readonly key: string; readonly terms: ObservedTerms }): LockMessage {
    return { lockerId: this.lockerId, key, owner: terms.owner, mode: modeOf(terms.share), instance: this.#instance };
  }
}
