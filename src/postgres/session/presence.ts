import { after, driftMarginMs, type Instant, isPast } from "../../runtime/clock.js";
import type { Presence } from "../../store/backend.js";
import type { ClockSample } from "../../store/server-clock.js";
import type { Hello } from "../connection/connect.js";
import type { Link } from "../connection/link.js";
import { LinkClosed } from "../connection/link-closed.js";
import { type Backend, type Identity, register, unregister } from "./registration.js";

/** Far more reconnects than any lease survives. */
const MAX_FORMER_IDS = 100;

export interface PresenceOptions {
  readonly identity: Identity;
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
  readonly onClock: (sample: ClockSample) => void;
}

/** One registration of the session, as statements name it. `incarnation` counts the registrations in this process. */
export interface ActiveSession {
  readonly id: number;
  readonly nonce: string;
  readonly incarnation: number;
}

/** Under which number this process is registered, from one connection to the next, and whether it can have been confirmed dead. */
export class SessionPresence implements Presence {
  /** Survives reconnects. Set only by this class, like the next two. */
  sessionId: number | null = null;
  incarnation = 0;
  /** Numbers that this session had to give up (after a failover, or while its old backend held the lock), as an array literal. */
  formerIds = "{}";
  readonly #options: PresenceOptions;
  #formerIds: readonly number[] = [];
  #backend: Backend | null = null;
  /** When the last successful heartbeat of this incarnation was sent. */
  #seenSince: Instant | null = null;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /**
   * Whether nobody can have confirmed this session dead (decision 16): its last heartbeat was *sent* less than the
   * takeover delay ago. With a delay of 0 there is no such time, and only a lease's own expiry counts.
   */
  get isBelieved(): boolean {
    const { takeoverDelayMs } = this.#options;
    const ms = takeoverDelayMs - driftMarginMs(takeoverDelayMs);
    return takeoverDelayMs === 0 || (this.#seenSince !== null && !isPast(after(this.#seenSince, ms)));
  }

  get seenAtMs(): number | null {
    return this.#seenSince?.wallMs ?? null;
  }

  /**
   * Registers the session on a connection, under its old number if possible. `isInspected`: the backends of this session are known not
   * to be a pooler's.
   */
  async register(
    link: Link,
    hello: Hello,
    { isInspected, signal }: { readonly isInspected: boolean; readonly signal: AbortSignal },
  ): Promise<ActiveSession> {
    const { identity, takeoverDelayMs, requestTimeoutMs } = this.#options;
    const { id, nonce, firstBeat } = await register({
      link,
      hello,
      identity,
      takeoverDelayMs,
      knownId: this.sessionId,
      // Before the inspection this may have been a backend of a pooler, which may serve another client now: never
      // terminate it.
      lastBackend: isInspected && this.#backend?.pid !== hello.pid ? this.#backend : null,
    });
    if (signal.aborted) {
      await unregister(link, { id, nonce }, requestTimeoutMs);
      throw new LinkClosed("the session was closed");
    }
    if (this.sessionId !== null && this.sessionId !== id) {
      this.#setFormerIds([...this.#formerIds, this.sessionId].filter((former) => former !== id).slice(-MAX_FORMER_IDS));
    }
    this.sessionId = id;
    this.#backend = { pid: hello.pid, startedMs: hello.startedMs };
    this.incarnation += 1;
    this.#seenSince = null;
    const active = { id, nonce, incarnation: this.incarnation };
    this.hear(await firstBeat, active);
    return active;
  }

  /** Takes the answer to a heartbeat of this registration. */
  hear(sample: ClockSample, { incarnation }: ActiveSession): void {
    this.#options.onClock(sample);
    if (this.incarnation === incarnation) {
      this.#seenSince = sample.sentAt;
    }
  }

  /** The session was closed: the next one is another, under a new number. */
  forget(): void {
    this.sessionId = null;
    this.#setFormerIds([]);
    this.#backend = null;
    this.#seenSince = null;
  }

  #setFormerIds(ids: readonly number[]): void {
    this.#formerIds = ids;
    this.formerIds = `{${ids.join(",")}}`;
  }
}
