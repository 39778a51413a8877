import { Due, monotonicNowMs, systemClock } from "../../runtime/clock.js";
import { type Linked, LinkedList } from "../../runtime/linked-list.js";
import { RequestTimeout } from "../../runtime/timeout.js";
import { type LinkClosed, NeverSent } from "./link-closed.js";

/** One statement. It is answered once, by whoever took it out of the list. */
export interface Statement extends Linked<Statement> {
  readonly timeoutMs: number;
  /** On the monotonic clock. */
  readonly dueAtMs: number;
  readonly resolve: (rows: readonly Readonly<Record<string, unknown>>[]) => void;
  readonly reject: (error: unknown) => void;
  isSent: boolean;
}

/**
 * The statements of one connection that have no answer yet, in the order of their answers, and their time limits. All share one
 * timer: each statement that is added also needs a call of `due.by`, which is not made here because this is the hot path.
 */
export class Unanswered extends LinkedList<Statement> {
  readonly due: Due = new Due(systemClock, () => this.#rejectThoseDue());
  readonly #onSilence: () => void;

  /** `onSilence` is called when statements were rejected because their time is up. It must end the others. */
  constructor(onSilence: () => void) {
    super();
    this.#onSilence = onSilence;
  }

  /** Rejects all of them, because the connection died. */
  rejectAll(death: LinkClosed): void {
    this.due.stop();
    for (const statement of this) {
      this.remove(statement);
      statement.reject(statement.isSent ? death : new NeverSent(death.message, { cause: death }));
    }
  }

  #rejectThoseDue(): void {
    const nowMs = monotonicNowMs();
    let nextMs = Infinity;
    let isSilent = false;
    for (const statement of this) {
      if (statement.dueAtMs > nowMs) {
        nextMs = Math.min(nextMs, statement.dueAtMs);
      } else {
        this.remove(statement);
        isSilent = true;
        statement.reject(new RequestTimeout(`no answer within ${Math.round(statement.timeoutMs)} ms`));
      }
    }
    if (isSilent) {
      this.#onSilence();
    } else if (nextMs !== Infinity) {
      this.due.by(nextMs);
    }
  }
}
