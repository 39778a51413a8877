import { LeaseholdError, UnavailableError } from "../../errors/errors.js";
import { now, sleep } from "../../runtime/clock.js";
import { RequestTimeout, withTimeout } from "../../runtime/timeout.js";
import type { SessionState } from "../../store/backend-state.js";
import type { ClockSample } from "../../store/server-clock.js";
import type { Hello } from "../connection/connect.js";
import { type Made, stateOf } from "../connection/lane.js";
import type { Link } from "../connection/link.js";
import { LinkClosed, SessionLost } from "../connection/link-closed.js";
import { Pending } from "../connection/pending.js";
import { blamePooler } from "../connection/pooler-test.js";
import { sqlState } from "../connection/server-errors.js";
import { notTrusted } from "../connection/unavailable.js";
import { Heartbeat } from "./heartbeat.js";
import { type ActiveSession, SessionPresence } from "./presence.js";
import { type Identity, unregister } from "./registration.js";

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;

/** Checks a backend before a session is set up on it. */
export interface Inspector {
  /** Called while the session is connecting, unless the last attempt failed. */
  prepare(): void;
  /** Called before the connection gets a setting or a lock, because a pooler would keep them. */
  refusePooler(link: Link, hello: Hello): Promise<void>;
  /** Called before the first session is used. */
  inspect(link: Link, session: ActiveSession): Promise<void>;
  /** May be called at any time, even before `prepare` or while a probe is being opened. */
  end(): void;
}

export interface SessionOptions {
  readonly connect: (onNotify: () => void, signal: AbortSignal) => Promise<Made>;
  /** Makes a new one for each attempt, until the first that succeeds. */
  readonly inspection: () => Inspector;
  readonly identity: Identity;
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
}

export interface SessionEvents {
  /** A notification came, or one may have been missed. */
  onWake(): void;
  /** A new session is active: every lease must be renewed under it before it counts as held. */
  onConnected(): void;
  /** `active` has changed. */
  onActive(): void;
  onClock(sample: ClockSample): void;
  /** Something failed in the background. The session keeps trying. */
  onError(error: unknown): void;
}

/**
 * The process's presence: one connection that holds an advisory lock, which Postgres drops the moment the process dies,
 * and that sends a heartbeat every second or more often.
 *
 * idle → connecting → active → (lost) connecting → ... → closed
 */
export class Session {
  /** Its number, and whether it is believed alive. */
  readonly presence: SessionPresence;
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  /** The current registration. Null while reconnecting; leases of the last one may still be held. Set only by this class. */
  active: ActiveSession | null = null;
  #made: Made | null = null;
  #activeSinceMs: number | null = null;
  #heartbeat: Heartbeat | null = null;
  #isInspected = false;
  #running: AbortController | null = null;
  /** Settles when no connection is being turned into a session any more. Never rejects. */
  #establishing: Promise<unknown> = Promise.resolve();
  readonly #pending = new Pending<ActiveSession>();
  #lastError: unknown = null;

  constructor(options: SessionOptions, events: SessionEvents) {
    this.#options = options;
    this.#events = events;
    this.presence = new SessionPresence({ ...options, onClock: (sample) => events.onClock(sample) });
  }

  get id(): number | null {
    return this.presence.sessionId;
  }

  get state(): SessionState {
    const { sessionId, incarnation, seenAtMs, isBelieved } = this.presence;
    return {
      ...stateOf(this.#made, this.#running !== null, 0),
      id: sessionId,
      incarnation,
      standingSinceMs: this.#activeSinceMs,
      seenAtMs,
      isBelieved,
    };
  }

  /** Starts the session if necessary, and resolves when it is active. Rejects with the last error after `timeoutMs`. */
  async open(timeoutMs: number): Promise<ActiveSession> {
    if (this.active !== null) {
      return this.active;
    }
    this.#start();
    try {
      return await this.#pending.wait(timeoutMs);
    } catch (error) {
      throw this.#lastError ?? error;
    }
  }

  /**
   * Ends the session: deletes its row if Postgres answers within `timeoutMs`, and closes its connection. `open` starts
   * a new one.
   */
  async close(timeoutMs: number): Promise<void> {
    this.#running?.abort();
    this.#running = null;
    const link = this.#made?.link ?? null;
    const active = this.active;
    this.#deactivate();
    this.presence.forget();
    this.#pending.reject(new LinkClosed("the session was closed"));
    if (link !== null) {
      if (active !== null) {
        await unregister(link, active, timeoutMs);
      }
      await link.end();
    }
    // A registration that has just finished deletes its own row.
    await this.#establishing;
  }

  /** Sends an extra heartbeat. Resolves to whether it succeeded. If not, the connection has been cut. */
  async beatNow(): Promise<boolean> {
    return (await this.#heartbeat?.now()) ?? false;
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
        backoffMs === 0 ? Math.random() * FIRST_BACKOFF_MS * (this.presence.incarnation === 0 ? 0 : 1) : backoffMs;
      await sleep(delayMs * (0.8 + 0.4 * Math.random()), { signal });
      backoffMs = Math.min(Math.max(FIRST_BACKOFF_MS, backoffMs * 2), MAX_BACKOFF_MS);
      try {
        const link = await this.#establish(signal);
        backoffMs = 0;
        await new Promise<void>((resolve) => link.onClose(resolve));
        if (signal.aborted) {
          return;
        }
        this.#deactivate();
        this.#events.onError(new SessionLost("the session's connection was lost", { cause: link.death }));
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
    // Nothing listens there, no such name: for an address that has worked before, that may pass.
    const hasNeverWorked = !this.#isInspected && sqlState(error) === null && !(error instanceof RequestTimeout);
    if (isDefinite || isFinal(error) || hasNeverWorked) {
      this.#pending.reject(error);
      // A configuration that has never worked will not start to work by itself: stop, and let the next call try again.
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
      // After a failure one connection is enough to see whether the next attempt fails, too.
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
    let active: ActiveSession | null = null;
    try {
      refuseIfClosed(signal);
      await inspection?.refusePooler(link, hello);
      refuseIfClosed(signal);
      const registering = this.presence.register(link, hello, { isInspected: this.#isInspected, signal });
      active = await withTimeout(registering, requestTimeoutMs, () => link.destroy());
      if (inspection !== null) {
        await inspection.inspect(link, active);
        this.#isInspected = true;
      }
      refuseIfClosed(signal);
      this.#lastError = null;
      this.#activate(made, active);
      return link;
    } catch (error) {
      const cause = this.#isInspected || link.isDead ? error : blamePooler(error, hello);
      if (active !== null) {
        await unregister(link, active, requestTimeoutMs);
      }
      link.destroy();
      throw cause;
    }
  }

  #activate(made: Made, active: ActiveSession): void {
    const { takeoverDelayMs, requestTimeoutMs } = this.#options;
    this.#made = made;
    this.active = active;
    this.#events.onActive();
    this.#activeSinceMs = now().wallMs;
    this.#heartbeat = new Heartbeat(
      { link: made.link, session: active, pid: made.hello.pid },
      {
        takeoverDelayMs,
        requestTimeoutMs,
        onBeat: (sample) => this.presence.hear(sample, active),
        onFailure: (error) => this.#fail(error),
      },
    );
    this.#pending.resolve(active);
    this.#events.onConnected();
    this.#events.onWake();
  }

  #deactivate(): void {
    this.#heartbeat?.stop();
    this.#heartbeat = null;
    this.active = null;
    this.#events.onActive();
    this.#activeSinceMs = null;
    this.#made = null;
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
