import type { LeaseholdError } from "../errors/errors.js";
import type { RenewalListener } from "../observe/callbacks.js";
import type { GrantId, PendingRenewal, RenewAnswer } from "../store/messages.js";

/** Who renews leases: see Renewals. */
export interface RenewalOwner<Of extends GrantId> {
  answered(renewal: Renewal<Of>, answer: RenewAnswer): void;
  failed(renewal: Renewal<Of>, error: LeaseholdError): void;
}

/** How one lease is renewed, and the request itself. One object serves all its renewals: 10,000 leases make 1,000 requests a second. */
export class Renewal<Of extends GrantId> implements PendingRenewal {
  readonly lease: Of;
  /** Null: renewed only on demand. */
  everyMs: number | null = null;
  /** How often renewing it in the background was started. */
  started = 0;
  /** On the monotonic clock; `Infinity` when nothing is due. */
  dueAtMs: number = Number.POSITIVE_INFINITY;
  retryMs = 0;
  askedTtlMs: number | null = null;
  isInFlight = false;
  /** Whether the lease is being detached. */
  isPaused = false;
  /** Null: the locker's own. */
  listener: RenewalListener | null = null;
  readonly #owner: RenewalOwner<Of>;
  #onSettled: (() => void)[] | null = null;

  constructor(lease: Of, owner: RenewalOwner<Of>) {
    this.lease = lease;
    this.#owner = owner;
  }

  /** Called when it was answered, or has failed. */
  settle(): void {
    this.isInFlight = false;
    const waiting = this.#onSettled;
    if (waiting !== null) {
      this.#onSettled = null;
      for (const resolve of waiting) {
        resolve();
      }
    }
  }

  /** Resolves when it is not in flight. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isInFlight) {
        this.#onSettled ??= [];
        this.#onSettled.push(resolve);
      } else {
        resolve();
      }
    });
  }

  get key(): string {
    return this.lease.key;
  }

  get token(): string {
    return this.lease.token;
  }

  get fence(): bigint {
    return this.lease.fence;
  }

  onAnswer(answer: RenewAnswer): void {
    this.#owner.answered(this, answer);
  }

  onFailure(error: LeaseholdError): void {
    this.#owner.failed(this, error);
  }
}
