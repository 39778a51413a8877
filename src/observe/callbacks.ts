import type { LeaseLostError, UnavailableError } from "../errors/errors.js";
import { describe } from "../runtime/describe.js";
import { delayed } from "../store/retry.js";
import type { Observer } from "./observer.js";
import { Outage } from "./outage.js";

/** What `keepAlive` was given to tell of renewals that fail. */
export interface RenewalListener {
  failed(error: unknown): void;
  renewed(): void;
}

/** One warning for each process: the first loss tells what is missing. */
let hasWarned = false;

/** Calls the user's callbacks. Their errors must not reach the protocol: they go to `onError`, or become a process warning. */
export class Callbacks implements Observer {
  readonly #onError: ((error: unknown) => void) | null;
  readonly #observer: Observer;
  readonly #outage = new Outage();

  constructor(onError: ((error: unknown) => void) | null, observer: Observer) {
    this.#onError = onError;
    this.#observer = observer;
  }

  call(callback: () => unknown): void {
    guarded(callback, (error) => this.#tell(error, this.#onError ?? warn));
  }

  /**
   * Reports an error of background work: an outage once, until `answered`. Without `onError` it is dropped. `explain` finds out more about a
   * request that was late.
   */
  report(error: unknown, explain?: (late: UnavailableError) => Promise<UnavailableError>): void {
    this.#observer.failed?.(error);
    const onError = this.#onError;
    if (!this.#outage.isNews(error) || onError === null) {
      return;
    }
    const late = explain === undefined ? null : delayed(error);
    guarded(late === null ? () => onError(error) : async () => onError(await explain?.(late)), warn);
  }

  /** Reports what is news each time. */
  tell(error: unknown): void {
    this.#tell(error, this.#onError);
  }

  /** A lock was lost, without an `onLost`, and nobody has read its signal. It goes to `onError`; without that the first one becomes a warning. */
  unheard(loss: LeaseLostError): void {
    if (this.#onError !== null) {
      guarded(() => this.#onError?.(loss), warn);
    } else if (!hasWarned && loss.reason !== "closed") {
      hasWarned = true;
      const text = `${loss.message} The code that held it could not know at once: read lock.signal there, or give the locker an onLost. Later losses are not warned of.`;
      process.emitWarning(text, { type: "LeaseholdWarning", code: "LEASEHOLD_LOCK_LOST" });
    }
  }

  /** Called when Postgres has answered a request about a lock, or has a session again: an outage has ended. */
  answered(): void {
    this.#outage.end();
  }

  renewed(): void {
    this.#outage.end();
  }

  checked(): void {
    this.#outage.end();
  }

  swept(): void {
    this.#outage.end();
  }

  /** For a listener of one lock: an outage is told to it once, until the lock is renewed. */
  listener(onError: (error: unknown) => void): RenewalListener {
    const outage = new Outage();
    const failed = (error: unknown): void => {
      this.#observer.failed?.(error);
      if (outage.isNews(error)) {
        this.call(() => onError(error));
      }
    };
    return { failed, renewed: () => outage.end() };
  }

  #tell(error: unknown, listener: ((error: unknown) => void) | null): void {
    this.#observer.failed?.(error);
    guarded(() => listener?.(error), warn);
  }
}

/** A callback may be an async function, whose rejection nobody else would catch. */
function guarded(callback: () => unknown, onFailure: (error: unknown) => void): void {
  try {
    Promise.resolve(callback()).catch(onFailure);
  } catch (error) {
    onFailure(error);
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(describe(error)));
}
