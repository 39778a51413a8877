import { randomUUID } from "node:crypto";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { LeaseholdError, UnavailableError } from "../errors/errors.js";
import { after, type Clock, driftMarginMs, type Instant } from "../runtime/clock.js";
import type { Backend } from "../store/backend.js";
import type { AcquireAnswer, Holder, ReleaseAnswer, Takeover, Ticket } from "../store/messages.js";
import { isEnded, retry } from "../store/retry.js";

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;
/** After this an entry in the queue expires by itself. */
const ENTRY_EXPIRES_MS = 3_000;

/** What a claim needs to know of the queues of this process. */
export interface LocalQueues {
  /** A claim that has ended may still have an entry in the queue of the key, until the returned function is called. */
  startLeaving(key: string): () => void;
  wakeKey(key: string): boolean;
}

/** What all claims of a locker share. */
export interface ClaimContext {
  readonly backend: Backend;
  readonly queues: LocalQueues;
  readonly requestTimeoutMs: number;
  /** Fires when the locker is closed for good. Then no last word can be sent. */
  readonly closed: AbortSignal;
}

/** A claim as data, for debug output and hooks. */
export interface ClaimState {
  readonly key: string;
  readonly terms: ResolvedAcquireOptions;
  readonly startedAt: Instant;
  /** The number of its ticket in the queue; null before the first answer, and for a call that does not wait. */
  readonly ticket: bigint | null;
  readonly attempts: number;
  /** Who held the key at the last look. */
  readonly holder: Holder | null;
  readonly blockingPid: number | null;
}

/**
 * One token, and everything that was sent under it: the attempts to get the key, and the last word, which makes sure that no attempt
 * leaves anything behind (rule 8).
 */
export class Claim {
  readonly key: string;
  readonly token: string = randomUUID();
  /** Set once more when a lock is adopted, with what its row says. */
  terms: ResolvedAcquireOptions;
  readonly startedAt: Instant;
  readonly #context: ClaimContext;
  /** Whether any attempt was answered with anything but a grant. */
  isContended = false;
  /** Once granted: from whom the key was taken without a release. */
  takeover: Takeover | null = null;
  ticket: Ticket | null = null;
  holder: Holder | null = null;
  blockingPid: number | null = null;
  #isGranted = false;
  #attempts = 0;
  #unanswered = 0;
  #onAnswered: (() => void) | null = null;
  /** From when on the server is sure to refuse the attempts that had no answer. */
  #unresolvedUntil: Instant | null = null;
  /** Whether its lock was held and has been released. Then what the last word finds is that grant. */
  wasHeld = false;
  /** The longest TTL that was asked for. */
  #longestTtlMs: number;
  #lastWord: Promise<void> | null = null;
  #found: "ours" | "taken" | "free" | null = null;

  constructor(context: ClaimContext, key: string, terms: ResolvedAcquireOptions) {
    this.#context = context;
    this.startedAt = context.backend.clock.now();
    this.key = key;
    this.terms = terms;
    this.#longestTtlMs = terms.ttlMs;
  }

  get #clock(): Clock {
    return this.#context.backend.clock;
  }

  get state(): ClaimState {
    const { key, terms, startedAt, ticket, holder, blockingPid } = this;
    return { key, terms, startedAt, ticket: ticket?.number ?? null, attempts: this.#attempts, holder, blockingPid };
  }

  /** What the last word found in the key's row: our grant, which it freed; somebody else's grant; or neither. Null before that. */
  get found(): "ours" | "taken" | "free" | null {
    return this.#found;
  }

  /** Every attempt is followed by `take` or `attemptFailed`. */
  attemptSent(): void {
    this.#attempts += 1;
    this.#unanswered += 1;
  }

  /** Takes in an answer to an attempt. */
  take(answer: AcquireAnswer): void {
    if (answer.outcome === "granted") {
      this.#isGranted = true;
      this.takeover = answer.takeover;
    } else if (answer.outcome !== "late" && answer.outcome !== "unproven") {
      this.isContended = true;
      this.holder = answer.holder;
      this.blockingPid = answer.outcome === "busy" ? answer.blockingPid : null;
    }
    this.attemptEnded();
  }

  /** The same for an answer that says nothing more to it. */
  attemptEnded(): void {
    this.#unanswered -= 1;
    if (this.#unanswered === 0) {
      this.#onAnswered?.();
    }
  }

  /** `deadline`: from then on the server refuses the attempt. */
  attemptFailed(error: unknown, deadline: Instant): void {
    if (!(error instanceof LeaseholdError) || (error instanceof UnavailableError && error.outcome === "unknown")) {
      this.#unresolvedUntil = after(deadline, driftMarginMs(this.#context.requestTimeoutMs));
    }
    this.attemptEnded();
  }

  /** Whether it may have left something in the database. */
  get isUnfinished(): boolean {
    return this.#isGranted || this.terms.queues || this.#unanswered > 0 || this.#unresolvedUntil !== null;
  }

  /**
   * Whether every attempt was answered, so that the grant is all that it left. Then token and fence free it. Otherwise an attempt may
   * have been granted again, or may still be: only a last word, by the token alone, frees that (rule 8).
   */
  get isCertain(): boolean {
    return this.#unanswered === 0 && this.#unresolvedUntil === null;
  }

  /** Called when a renewal for this TTL is about to be sent. */
  extend(ttlMs: number): void {
    this.#longestTtlMs = Math.max(this.#longestTtlMs, ttlMs);
  }

  /** Whether an attempt without an answer may still be carried out. */
  get isUnresolved(): boolean {
    return this.#unresolvedUntil !== null && this.#clock.monotonicMsUntil(this.#unresolvedUntil) > 0;
  }

  /** Frees what was granted, by the token alone. */
  abandon(): Promise<ReleaseAnswer> {
    return this.#context.backend.abandon({
      key: this.key,
      token: this.token,
      wasHeld: this.wasHeld,
      isDoubted: this.#unresolvedUntil !== null,
    });
  }

  /** Frees at once what is known to be granted; what an attempt without an answer may still be granted is the last word's. Never rejects. */
  async abandonEarly(): Promise<void> {
    try {
      await this.abandon();
      this.#context.queues.wakeKey(this.key);
    } catch {
      // The last word tries again.
    }
  }

  /** Whether the last word has begun. Then it may be what freed a grant that is gone. */
  get hasLastWord(): boolean {
    return this.#lastWord !== null;
  }

  /**
   * Waits until no attempt can be carried out any more. Then removes the token from the queue and frees what it was granted. Asks until
   * it is answered, or until whatever it could find has expired. Never rejects.
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
      await this.attemptsEnded();
      await this.#abandonUntilAnswered();
    } catch {
      // Nobody waits for it. What it could not free expires.
    } finally {
      left();
    }
  }

  /** Resolves when no attempt can be carried out any more. Once all are answered or have failed, closing the locker resolves it, too. */
  async attemptsEnded(): Promise<void> {
    if (this.#unanswered > 0) {
      const before = this.#onAnswered;
      await new Promise<void>((resolve) => {
        this.#onAnswered = () => {
          before?.();
          resolve();
        };
      });
    }
    if (this.#unresolvedUntil !== null) {
      await this.#clock.sleep(this.#clock.monotonicMsUntil(this.#unresolvedUntil), { signal: this.#context.closed });
    }
  }

  async #abandonUntilAnswered(): Promise<void> {
    const { queues, closed } = this.#context;
    const { outcome, reason } = await retry({
      clock: this.#clock,
      attempt: async () => {
        try {
          const answer = await this.abandon();
          return answer.outcome === "busy" ? undefined : answer;
        } catch (error) {
          // Whatever it is may pass: a standby is promoted, a password is changed back. An entry in the queue goes by itself.
          const mayPass = !(error instanceof UnavailableError && isEnded(error));
          if (mayPass && (this.#isGranted || this.wasHeld || this.#unresolvedUntil !== null)) {
            return undefined;
          }
          throw error;
        }
      },
      // By then, whatever it could find has expired.
      deadline: after(this.#clock.now(), this.#longestTtlMs + ENTRY_EXPIRES_MS),
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
