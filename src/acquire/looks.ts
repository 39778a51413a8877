import type { Claim } from "../claim/claim.js";
import { UnavailableError } from "../errors/errors.js";
import { after, type Clock, type Instant } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { AcquireAnswer } from "../store/messages.js";
import { isHopeless, retry } from "../store/retry.js";
import { type Granted, type NotGranted, type SettledAnswer, settled } from "./results.js";

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;
/** How long a call that has given up waits for the answer to who was in its way. */
const BLOCKER_MS = 1_000;

export interface LooksInit {
  readonly claim: Claim;
  readonly backend: Backend;
  readonly requestTimeoutMs: number;
  /** Called when Postgres has not answered for `requestTimeoutMs`, and the acquire goes on. */
  readonly onOutage: (error: UnavailableError) => void;
  /** Called with the first answer after that. */
  readonly onRecovered: () => void;
}

/** How the first attempt ended. `answer` and `failure` are both null when there was none. */
export interface FirstResult {
  readonly answer: AcquireAnswer | null;
  readonly failure: UnavailableError | null;
  readonly deadline: Instant;
}

/**
 * The looks of an acquire that its first attempt did not settle. What decides when to look (Wait, `tryOnce`, `retryUntilGranted`) does so
 * in `run`, which can be ended at any time.
 */
export class Looks {
  readonly claim: Claim;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** When `waitMs` is over, on the monotonic clock. */
  readonly endsAtMs: number;
  readonly onRecovered: () => void;
  /** Called when it is ended, before its promise is rejected. */
  onEnded: (() => void) | null = null;
  readonly #backend: Backend;
  readonly #onOutage: (error: UnavailableError) => void;
  #ended: { readonly error: unknown } | null = null;
  #reject: ((error: unknown) => void) | null = null;
  #interrupt: AbortController | null = null;

  constructor({ claim, backend, requestTimeoutMs, onOutage, onRecovered }: LooksInit) {
    this.claim = claim;
    this.clock = backend.clock;
    this.requestTimeoutMs = requestTimeoutMs;
    this.endsAtMs = claim.startedAt.monotonicMs + claim.terms.waitMs;
    this.onRecovered = onRecovered;
    this.#backend = backend;
    this.#onOutage = onOutage;
  }

  /** @throws what `end` was given, at once; what `work` throws */
  run(work: () => Promise<Granted | NotGranted>): Promise<Granted | NotGranted> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      work().then(resolve, reject);
    });
  }

  /** Ends the acquire at once. The claim's last word cleans up after what was sent. */
  end(error: unknown): void {
    if (this.#ended === null) {
      this.#ended = { error };
      this.onEnded?.();
      this.#interrupt?.abort();
      this.#reject?.(error);
    }
  }

  /** Whether this is what `end` was given. */
  wasEndedWith(error: unknown): boolean {
    return this.#ended !== null && this.#ended.error === error;
  }

  refuseIfEnded(): void {
    if (this.#ended !== null) {
      throw this.#ended.error;
    }
  }

  /** What is left of `waitMs`. */
  get leftMs(): number {
    return this.endsAtMs - this.clock.monotonicNowMs();
  }

  /** @throws what `end` was given, at once */
  async pause(ms: number): Promise<void> {
    await this.clock.sleep(ms, { signal: this.#interrupted() });
    this.refuseIfEnded();
  }

  /** @throws the error, unless it may pass while there is time left to wait */
  outlast(error: unknown): UnavailableError {
    this.refuseIfEnded();
    if (!(error instanceof UnavailableError) || isHopeless(error) || this.leftMs <= 0) {
      throw error;
    }
    this.#onOutage(error);
    return error;
  }

  /** Of a look that begins now. One that had to wait for its turn has no more time than one that had not. */
  deadline(): Instant {
    return after(this.clock.now(), Math.min(this.requestTimeoutMs, this.leftMs + this.requestTimeoutMs));
  }

  /** One look. Asks again until it is answered, or Postgres has not answered for `requestTimeoutMs`. */
  look({ failure, deadline }: Partial<FirstResult> = {}): Promise<SettledAnswer> {
    const until = deadline ?? this.deadline();
    return retry({
      clock: this.clock,
      attempt: async (leftMs) => {
        await this.#backend.open(leftMs);
        this.refuseIfEnded();
        let answer = await this.#askInTime(until);
        if (answer.outcome === "late" && this.clock.msUntil(until) > 0) {
          // It was late only by what was known of the server's clock, which it has told anew: drift adds up in a long outage.
          this.refuseIfEnded();
          answer = await this.#askInTime(until);
        }
        return settled(answer) ?? undefined;
      },
      deadline: until,
      firstMs: FIRST_RETRY_MS,
      maxMs: MAX_RETRY_MS,
      refuse: () => this.refuseIfEnded(),
      interrupt: () => this.#interrupted(),
      giveUp: ({ outcome }) => outcome === "not-sent" && this.#isLast,
      failure: failure ?? null,
      exhausted: (failed) => failed ?? unsettled(this.claim.key),
    });
  }

  /** Whether Postgres is not waited for: a wait has lasted as long as it may, or a try asks an address that has never worked. */
  get #isLast(): boolean {
    return this.claim.terms.waitMs === 0 ? !this.#backend.wasReady : this.leftMs <= 0;
  }

  /** The server process whose open transaction has locked the key's row. It is not told to those that do not queue. Never rejects. */
  async findBlocker(): Promise<number | null> {
    try {
      const ms = Math.max(1, Math.min(BLOCKER_MS, this.leftMs + this.requestTimeoutMs));
      const asking = this.#backend.check(this.claim.key);
      return (await withTimeoutOf(this.clock, asking, ms)).blockingPid;
    } catch {
      return null;
    }
  }

  #askInTime(deadline: Instant): Promise<AcquireAnswer> {
    return withTimeoutOf(this.clock, this.#ask(deadline), Math.max(1, this.clock.msUntil(deadline)));
  }

  async #ask(deadline: Instant): Promise<AcquireAnswer> {
    const claim = this.claim;
    const { key, token, terms, ticket } = claim;
    claim.attemptSent();
    try {
      // `open` has had an answer from the server, so the server's time is known.
      const notAfterMs = this.#backend.serverTimeAt(deadline) ?? 0;
      const answer = await this.#backend.acquire({ key, token, terms, notAfterMs, ticket });
      claim.take(answer);
      return answer;
    } catch (error) {
      claim.attemptFailed(error, deadline);
      throw error;
    }
  }

  /** Fires when it is ended. Made when something first sleeps, because most acquires never do. */
  #interrupted(): AbortSignal {
    if (this.#interrupt === null) {
      this.#interrupt = new AbortController();
      if (this.#ended !== null) {
        this.#interrupt.abort();
      }
    }
    return this.#interrupt.signal;
  }
}

/** Every request was answered, and no answer settled it. */
function unsettled(key: string): UnavailableError {
  return new UnavailableError({
    outcome: "unknown",
    message: `The lock on ${quote(key)} was not granted in time: each request came after its time was up, or while the connection that shows that this process lives was being made again. Try again.`,
  });
}
