import { channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { Acquisition } from "../acquisition.js";
import type { LeaseLostError } from "../errors.js";
import type { Lease } from "../lease.js";
import type { Lock } from "../lock.js";
import type { AcquireOutcome, Observer } from "../observer.js";
import type { SweepResult } from "../store.js";
import type {
  AcquireMessage,
  AcquireTrace,
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
  lost: channel("leasehold:lost"),
  takeover: channel("leasehold:takeover"),
  sweep: channel("leasehold:sweep"),
};
const acquiring = tracingChannel("leasehold:acquire") as TracingChannel<unknown, AcquireTrace>;
const withLock = tracingChannel("leasehold:with-lock") as TracingChannel<unknown, WithLockTrace>;

let lockers = 0;

/**
 * Publishes what a locker does on channels of node:diagnostics_channel. A message is made only when somebody listens; what a
 * subscriber throws becomes an uncaught exception of its own, by Node's rule, and does not reach the locker.
 */
export class Publisher implements Observer {
  readonly lockerId: number;

  constructor() {
    lockers += 1;
    this.lockerId = lockers;
  }

  acquireEnded(
    acquisition: Acquisition,
    outcome: AcquireOutcome,
    waitedMs: number,
    lock: Lock | null,
    error: unknown,
  ): void {
    if (lock !== null && channels.takeover.hasSubscribers) {
      this.#takeover(acquisition, lock);
    }
    if (channels.acquire.hasSubscribers) {
      const { isContended } = acquisition;
      const fence = lock?.fence.toString() ?? null;
      const about = this.#about(acquisition.state);
      channels.acquire.publish({ ...about, outcome, waitedMs, isContended, fence, error } satisfies AcquireMessage);
    }
  }

  released(lease: Lease, heldMs: number): void {
    if (channels.release.hasSubscribers) {
      const fence = lease.fence.toString();
      channels.release.publish({ ...this.#about(lease), fence, heldMs } satisfies ReleaseMessage);
    }
  }

  lost(lease: Lease, { reason }: LeaseLostError, heldMs: number): void {
    if (channels.lost.hasSubscribers) {
      const fence = lease.fence.toString();
      channels.lost.publish({ ...this.#about(lease), fence, reason, heldMs } satisfies LostMessage);
    }
  }

  swept(result: SweepResult): void {
    if (channels.sweep.hasSubscribers) {
      channels.sweep.publish({ lockerId: this.lockerId, ...result } satisfies SweepMessage);
    }
  }

  /** A call that acquires, as an operation of the tracing channel `leasehold:acquire`. */
  traceAcquire<Value>(
    key: string,
    terms: Pick<AcquireTrace, "owner" | "ttlMs" | "waitMs">,
    work: () => Promise<Value>,
    lockOf: (value: Value) => Lock | null,
  ): Promise<Value> {
    const makeContext = (): AcquireTrace => {
      const { owner, ttlMs, waitMs } = terms;
      return { lockerId: this.lockerId, key, owner, ttlMs, waitMs };
    };
    return traced(acquiring, makeContext, work, (value) => {
      const lock = lockOf(value);
      const result = { outcome: lock === null ? "held" : "granted", fence: lock?.fence.toString() ?? null } as const;
      return result satisfies AcquireTrace["result"];
    });
  }

  /** A call that locks and runs a body, as an operation of the tracing channel `leasehold:with-lock`. */
  traceWithLock<Value>(key: string, work: () => Promise<Value>, isAcquired: (value: Value) => boolean): Promise<Value> {
    const makeContext = (): WithLockTrace => ({ lockerId: this.lockerId, key });
    return traced(withLock, makeContext, work, (value) => {
      return { isAcquired: isAcquired(value) } satisfies WithLockTrace["result"];
    });
  }

  #takeover(acquisition: Acquisition, { fence }: Lock): void {
    const { takeover } = acquisition;
    if (takeover !== null) {
      const { owner, reason, sinceMs } = takeover;
      const message: TakeoverMessage = {
        ...this.#about(acquisition.state),
        fence: fence.toString(),
        reason,
        from: { owner, fence: takeover.fence.toString() },
        since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
      };
      channels.takeover.publish(message);
    }
  }

  #about({ key, terms }: { readonly key: string; readonly terms: { readonly owner: string } }): LockMessage {
    return { lockerId: this.lockerId, key, owner: terms.owner };
  }
}
