import { after, driftMarginMs, type Instant, isPast, now, sleep } from "../clock.js";
import { LeaseholdError, UnavailableError } from "../errors.js";
import type { SessionState } from "../inspect/store-state.js";
import { withTimeout } from "../timeout.js";
import type { ClockSample, Hello } from "./connect.js";
import { Heartbeat } from "./heartbeat.js";
import { type Made, stateOf } from "./lane.js";
import { type Link, LinkClosed } from "./link.js";
import { Pending } from "./pending.js";
import { blamePooler } from "./pooler-test.js";
import { type Backend, type Identity, register, unregister } from "./registration.js";
import { notTrusted, sqlState } from "./server-errors.js";

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;
/** Far more than one lease outlasts. */
const MAX_FORMER_IDS = 100;

/** Refuses a backend. */
export interface Inspector {
  /** While the session's connection is being made, if there is no reason to think that this will fail. */
  prepare(): void;
  /** Before anything is put on the connection that a pooler would keep. */
  refusePooler(link: Link, hello: Hello): Promise<void>;
  /** Before the first session is used. */
  inspect(link: Link, session: Standing): Promise<void>;
  /** Also of one that was neither prepared nor made, or in the middle of either. */
  end(): void;
}

export interface SessionOptions {
  readonly connect: (onNotify: () => void, signal: AbortSignal) => Promise<Made>;
  /** A new one for each attempt, until the first that succeeds. */
  readonly inspection: () => Inspector;
  readonly identity: Identity;
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
}

export interface SessionEvents {
  /** A NOTIFY came, or one may have been missed. */
  onWake(): void;
  /** A session stands that did not stand before: leases must prove themselves. */
  onConnected(): void;
  onClock(sample: ClockSample): void;
  /** In the background; the session goes on trying. */
  onError(error: unknown): void;
}

/** One registration of the session, as statements name it. `incarnation` counts them in this process. */
export interface Standing {
  readonly id: number;
  readonly nonce: string;
  readonly incarnation: number;
}

/**
 * The process's presence: one connection that holds an advisory lock, which Postgres drops the moment the process dies, and
 * that says every second or more often that it lives.
 *
 * idle → connecting → standing → (lost) connecting → ... → closed
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  #id: number | null = null;
  #formerIds: readonly number[] = [];
  #standing: Standing | null = null;
  #incarnation = 0;
  #made: Made | null = null;
  #standingSinceMs: number | null = null;
  #backend: Backend | null = null;
  /** When the last heartbeat was sent that succeeded in this incarnation. */
  #seenSince: Instant | null = null;
  #heartbeat: Heartbeat | null = null;
  #isInspected = false;
  #running: AbortController | null = null;
  /** Settles when no connection is being made into a session any more. Never rejects. */
  #establishing: Promise<unknown> = Promise.resolve();
  readonly #pending = new Pending<Standing>();
  #lastError: unknown = null;

  constructor(options: SessionOptions, events: SessionEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** The registration that stands now; null while there is none, which says nothing about what was held under the last. */
  get standing(): Standing | null {
    return this.#standing;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** The number of the session, kept over reconnects. */
  get id(): number | null {
    return this.#id;
  }

  /** Numbers that this session had before somebody else had them: after a failover, or while its old backend stood. */
  get formerIds(): readonly number[] {
    return this.#formerIds;
  }

  get state(): SessionState {
    return {
      ...stateOf(this.#made, this.#running !== null, 0),
      id: this.#id,
      incarnation: this.#incarnation,
      standingSinceMs: this.#standingSinceMs,
      seenAtMs: this.#seenSince?.wallMs ?? null,
      isBelieved: this.isBelieved,
    };
  }

  /**
   * Whether nobody can have confirmed this session dead: its last heartbeat was *sent* less than the takeover delay ago.
   * With a delay of 0 there is no such time, and a lease's own expiry is all there is.
   */
  get isBelieved(): boolean {
    const { takeoverDelayMs } = this.#options;
    const ms = takeoverDelayMs - driftMarginMs(takeoverDelayMs);
    return takeoverDelayMs === 0 || (this.#seenSince !== null && !isPast(after(this.#seenSince, ms)));
  }

  /** Resolves when the session stands, and starts it if need be. Rejects with the last error after `timeoutMs`. */
  async open(timeoutMs: number): Promise<Standing> {
    if (this.#standing !== null) {
      return this.#standing;
    }
    this.#start();
    try {
      return await this.#pending.wait(timeoutMs);
    } catch (error) {
      throw this.#lastError ?? error;
    }
  }

  /** Gives the session back: its row, if Postgres answers within `timeoutMs`, its lock, its connection. `open` brings it back, as a new one. */
  async close(timeoutMs: number): Promise<void> {
    this.#running?.abort();
    this.#running = null;
    const link = this.#made?.link ?? null;
    const standing = this.#standing;
    this.#fall();
    this.#id = null;
    this.#formerIds = [];
    this.#backend = null;
    this.#seenSince = null;
    this.#pending.reject(new LinkClosed("the session was closed"));
    if (link !== null) {
      if (standing !== null) {
        await unregister(link, standing, timeoutMs);
      }
      await link.end();
    }
    // A connection that became a session just now takes its row back.
    await this.#establishing;
  }

  #start(): void {
    if (this.#running === null) {
      this.#running = new AbortController();
      void this.#run(this.#running.signal);
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    let backoffMs = 0;
    while (!signal.aborted) {
      const delayMs =
        backoffMs === 0 ? Math.random() * FIRST_BACKOFF_MS * (this.#incarnation === 0 ? 0 : 1) : backoffMs;
      await sleep(delayMs * (0.8 + 0.4 * Math.random()), { signal });
      backoffMs = Math.min(Math.max(FIRST_BACKOFF_MS, backoffMs * 2), MAX_BACKOFF_MS);
      try {
        const link = await this.#establish(signal);
        backoffMs = 0;
        await new Promise<void>((resolve) => link.onClose(resolve));
        if (signal.aborted) {
          return;
        }
        this.#fall();
        this.#events.onError(new LinkClosed("the session's connection was lost; reconnecting"));
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        this.#fail(error);
      }
    }
  }

  #fail(error: unknown): void {
    this.#lastError = error;
    const isDefinite = error instanceof LeaseholdError && !(error instanceof UnavailableError);
    if (isDefinite || isFinal(error)) {
      this.#pending.reject(error);
      // A set-up that never worked will not work by itself: the next call tries again.
      if (!this.#isInspected) {
        this.#running?.abort();
        this.#running = null;
      }
    }
    this.#events.onError(error);
  }

  async #establish(signal: AbortSignal): Promise<Link> {
    const inspection = this.#isInspected ? null : this.#options.inspection();
    const endInspection = (): void => inspection?.end();
    signal.addEventListener("abort", endInspection, { once: true });
    try {
      // After a failure one connection is enough to see whether it goes on.
      if (this.#lastError === null) {
        inspection?.prepare();
      }
      const made = await this.#options.connect(() => this.#events.onWake(), signal);
      const establishing = this.#becomeSession(made, inspection, signal);
      this.#establishing = establishing.catch(() => undefined);
      return await establishing;
    } finally {
      signal.removeEventListener("abort", endInspection);
      endInspection();
    }
  }

  async #becomeSession(made: Made, inspection: Inspector | null, signal: AbortSignal): Promise<Link> {
    const { link, hello } = made;
    const { requestTimeoutMs } = this.#options;
    let standing: Standing | null = null;
    try {
      refuseIfClosed(signal);
      await inspection?.refusePooler(link, hello);
      refuseIfClosed(signal);
      standing = await withTimeout(this.#register(link, hello, signal), requestTimeoutMs, () => link.destroy());
      if (inspection !== null) {
        await inspection.inspect(link, standing);
        this.#isInspected = true;
      }
      refuseIfClosed(signal);
      this.#lastError = null;
      this.#stand(made, standing);
      return link;
    } catch (error) {
      const cause = this.#isInspected || link.isDead ? error : blamePooler(error, hello);
      if (standing !== null) {
        await unregister(link, standing, requestTimeoutMs);
      }
      link.destroy();
      throw cause;
    }
  }

  async #register(link: Link, hello: Hello, signal: AbortSignal): Promise<Standing> {
    const { identity, takeoverDelayMs, requestTimeoutMs } = this.#options;
    const { id, nonce, firstBeat } = await register({
      link,
      hello,
      identity,
      takeoverDelayMs,
      knownId: this.#id,
      // Before the inspection it may have been a pooler's, with a stranger on it by now.
      lastBackend: this.#isInspected && this.#backend?.pid !== hello.pid ? this.#backend : null,
    });
    if (signal.aborted) {
      await unregister(link, { id, nonce }, requestTimeoutMs);
    }
    refuseIfClosed(signal);
    if (this.#id !== null && this.#id !== id) {
      this.#formerIds = [...this.#formerIds, this.#id].filter((former) => former !== id).slice(-MAX_FORMER_IDS);
    }
    this.#id = id;
    this.#backend = { pid: hello.pid, startedMs: hello.startedMs };
    this.#incarnation += 1;
    this.#seenSince = null;
    const standing = { id, nonce, incarnation: this.#incarnation };
    this.#hear(await firstBeat, standing);
    return standing;
  }

  #stand(made: Made, standing: Standing): void {
    const { takeoverDelayMs, requestTimeoutMs } = this.#options;
    this.#made = made;
    this.#standing = standing;
    this.#standingSinceMs = now().wallMs;
    this.#heartbeat = new Heartbeat(
      { link: made.link, session: standing, pid: made.hello.pid },
      {
        takeoverDelayMs,
        requestTimeoutMs,
        onBeat: (sample) => this.#hear(sample, standing),
        onFailure: (error) => this.#fail(error),
      },
    );
    this.#pending.resolve(standing);
    this.#events.onConnected();
    this.#events.onWake();
  }

  #fall(): void {
    this.#heartbeat?.stop();
    this.#heartbeat = null;
    this.#standing = null;
    this.#standingSinceMs = null;
    this.#made = null;
  }

  /** A heartbeat out of turn. Whether it succeeded; when it does not, the connection is dropped. */
  async beatNow(): Promise<boolean> {
    return (await this.#heartbeat?.now()) ?? false;
  }

  #hear(sample: ClockSample, { incarnation }: Standing): void {
    this.#events.onClock(sample);
    if (this.#incarnation === incarnation) {
      this.#seenSince = sample.sentAt;
    }
  }
}

function refuseIfClosed(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new LinkClosed("the session was closed");
  }
}

function isFinal(error: unknown): boolean {
  const state = sqlState(error);
  return notTrusted(error) !== null || (state !== null && /^(28|3D000|3F000|42|LH004)/.test(state));
}
