import { randomUUID } from "node:crypto";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { LeaseholdError, UnavailableError } from "../errors/errors.js";
import { after, driftMarginMs, type Instant, monotonicMsUntil, now, sleep } from "../runtime/clock.js";
import { retry } from "../store/retry.js";
import type { AcquireAnswer, Holder, ReleaseAnswer, Store, Takeover, Ticket } from "../store/store.js";

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;
/** An entry in the queue expires by itself after this. */
const ENTRY_EXPIRES_MS = 3_000;

/** The queues of this process, as far as a claim has to know them. */
export interface LocalQueues {
  /** A claim that has been given up is still in the queue of the key, until the returned function is called. */
  startLeaving(key: string): () => void;
  wakeKey(key: string): boolean;
}

/** What all claims of a locker share. */
export interface ClaimContext {
  readonly store: Store;
  readonly queues: LocalQueues;
  readonly requestTimeoutMs: number;
  /** Fires when the locker is closed for good: no last word can be sent then. */
  readonly closed: AbortSignal;
}

/** A claim as data, for debug output and hooks. */
export interface ClaimState {
  readonly key: string;
  readonly terms: ResolvedAcquireOptions;
  readonly startedAt: Instant;
  /** The place in the queue; null before the first answer, and for a call that does not wait. */
  readonly place: bigint | null;
  readonly attempts: number;
  /** Who held the key at the last look. */
  readonly holder: Holder | null;
  readonly blockingPid: number | null;
}

/**
 * One token, and everything that was sent under it: the attempts to get the key, and the last word that makes sure that none of
 * them leaves anything behind (rule 8).
 */
export class Claim {
  readonly key: string;
  readonly token: string = randomUUID();
  readonly terms: ResolvedAcquireOptions;
  readonly startedAt: Instant = now();
  readonly #context: ClaimContext;
  /** Whether any attempt was answered with something else than a grant. */
  isContended = false;
  /** From whom the key was taken without a release, once it is granted. */
  takeover: Takeover | null = null;
  ticket: Ticket | null = null;
  holder: Holder | null = null;
  blockingPid: number | null = null;
  #attempts = 0;
  #unanswered = 0;
  #onAnswered: (() => void) | null = null;
  /** When the server surely refuses those attempts that had no answer. */
  #unresolvedUntil: Instant | null = null;
  /** The holder has let go: what the last word finds then is that grant. */
  wasHeld = false;
  /** The longest that the lease was asked to last. */
  #longestTtlMs: number;
  #lastWord: Promise<void> | null = null;
  #found: "ours" | "taken" | "free" | null = null;

  constructor(context: ClaimContext, key: string, terms: ResolvedAcquireOptions) {
    this.#context = context;
    this.key = key;
    this.terms = terms;
    this.#longestTtlMs = terms.ttlMs;
  }

  get state(): ClaimState {
    const { key, terms, startedAt, ticket, holder, blockingPid } = this;
    return { key, terms, startedAt, place: ticket?.place ?? null, attempts: this.#attempts, holder, blockingPid };
  }

  /** What the last word found in the key's row: our grant, which it freed; somebody else's; or neither. Null before that. */
  get found(): "ours" | "taken" | "free" | null {
    return this.#found;
  }

  /** Every attempt is followed by `take` or `attemptFailed`. */
  attemptSent(): void {
    this.#attempts += 1;
    this.#unanswered += 1;
  }

  /** Takes what an answer says of the key. */
  take(answer: AcquireAnswer): void {
    if (answer.outcome === "granted") {
      this.takeover = answer.takeover;
    } else if (answer.outcome !== "late" && answer.outcome !== "unproven") {
      this.isContended = true;
      this.holder = answer.holder;
      this.blockingPid = answer.outcome === "busy" ? answer.blockingPid : null;
    }
    this.#attemptEnded();
  }

  /** `deadline`: the server refuses the attempt from then on. */
  attemptFailed(error: unknown, deadline: Instant): void {
    if (!(error instanceof LeaseholdError) || (error instanceof UnavailableError && error.outcome === "unknown")) {
      this.#unresolvedUntil = after(deadline, driftMarginMs(this.#context.requestTimeoutMs));
    }
    this.#attemptEnded();
  }

  #attemptEnded(): void {
    this.#unanswered -= 1;
    if (this.#unanswered === 0) {
      this.#onAnswered?.();
    }
  }

  /** Whether something of it may still be in the database although it was not granted. */
  get isUnfinished(): boolean {
    return this.terms.waitMs > 0 || this.#unanswered > 0 || this.#unresolvedUntil !== null;
  }

  /**
   * Whether the grant is the only trace that it left: every attempt was answered. Then token and fence free it. Otherwise an attempt
   * may have been granted again, or may still be: only the token reaches that, in a last word (rule 8).
   */
  get isCertain(): boolean {
    return this.#unanswered === 0 && this.#unresolvedUntil === null;
  }

  /** A renewal that asks for so much is about to be sent. */
  extend(ttlMs: number): void {
    this.#longestTtlMs = Math.max(this.#longestTtlMs, ttlMs);
  }

  /** Whether an attempt without an answer may still be carried out. */
  get isUnresolved(): boolean {
    return this.#unresolvedUntil !== null && monotonicMsUntil(this.#unresolvedUntil) > 0;
  }

  /** Frees what was granted, by the token alone. */
  abandon(): Promise<ReleaseAnswer> {
    return this.#context.store.abandon({
      key: this.key,
      token: this.token,
      wasHeld: this.wasHeld,
      isDoubted: this.#unresolvedUntil !== null,
    });
  }

  /** Whether the last word is being sent: what is not there any more may have been freed by it. */
  get hasLastWord(): boolean {
    return this.#lastWord !== null;
  }

  /**
   * Once no attempt can be carried out any more: takes the token out of the queue and frees what it was granted. It is asked until
   * answered, or until whatever it could find has expired. Never rejects.
   */
  lastWord(): Promise<void> {
    this.#lastWord ??= this.#sendLastWord();
    return this.#lastWord;
  }

  async #sendLastWord(): Promise<void> {
    if (this.#attempts === 0) {
      return;
    }
    const left = this.#context.queues.startLeaving(this.key);
    try {
      await this.#attemptsEnded();
      await this.#abandonUntilAnswered();
    } catch {
      // Nobody waits for it. What it could not free expires.
    } finally {
      left();
    }
  }

  /** Resolves when no attempt can be carried out any more, or, once all are answered or lost, when the locker is closed. */
  async #attemptsEnded(): Promise<void> {
    if (this.#unanswered > 0) {
      await new Promise<void>((resolve) => {
        this.#onAnswered = resolve;
      });
    }
    if (this.#unresolvedUntil !== null) {
      await sleep(monotonicMsUntil(this.#unresolvedUntil), { signal: this.#context.closed });
    }
  }

  async #abandonUntilAnswered(): Promise<void> {
    const { queues, closed } = this.#context;
    const { outcome, reason } = await retry({
      attempt: async () => {
        const answer = await this.abandon();
        return answer.outcome === "busy" ? undefined : answer;
      },
      // Whatever it could find has expired by then.
      deadline: after(now(), this.#longestTtlMs + ENTRY_EXPIRES_MS),
      firstMs: FIRST_RETRY_MS,
      maxMs: MAX_RETRY_MS,
      refuse: () => closed.throwIfAborted(),
      interrupt: () => closed,
      exhausted: (failure) => failure ?? new UnavailableError({ outcome: "unknown" }),
    });
    this.#found = outcome !== "gone" ? "ours" : reason === "taken" ? "taken" : "free";
    queues.wakeKey(this.key);
  }
}
