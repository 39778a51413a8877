import { UnsafeBackendError } from "../../errors/errors.js";
import { now, startTimer, type Timer } from "../../runtime/clock.js";
import { withTimeout } from "../../runtime/timeout.js";
import type { ClockSample } from "../../store/server-clock.js";
import type { Link } from "../connection/link.js";
import { LinkClosed } from "../connection/link-closed.js";

/** Sent only by the session, on a connection that has our settings. */
export const HEARTBEAT = "select alive, pid, now from leasehold_internal.heartbeat($1::int, $2::pg_catalog.uuid)";

const MAX_INTERVAL_MS = 1_000;

/** What a heartbeat needs to know about its session. `pid`: the backend on which it was registered. */
export interface Pulse {
  readonly link: Link;
  readonly session: { readonly id: number; readonly nonce: string };
  readonly pid: number;
}

/**
 * One round trip that checks that the backend is the same, holds the lock and is a primary, and then records that the
 * session is alive.
 * @throws UnsafeBackendError if the backend has changed, LinkClosed if the lock or the row is gone
 */
export async function beat({ link, session, pid }: Pulse): Promise<ClockSample> {
  const sentAt = now();
  const [row] = await link.query(HEARTBEAT, [session.id, session.nonce]);
  const receivedAt = now();
  if (Number(row?.pid) !== pid) {
    throw new UnsafeBackendError({
      problem:
        "The session's connection changed its backend: a transaction pooler stands in between, and locks taken on it protect nothing",
      remedy: 'Give the direct address as directUrl, or set presence: "off"',
    });
  }
  if (row?.alive !== true) {
    throw new LinkClosed("the session's lock or row is gone");
  }
  return { sentAt, receivedAt, serverMs: Number(row.now) };
}

export interface HeartbeatOptions {
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
  onBeat(sample: ClockSample): void;
  /** Called after the connection has been cut. */
  onFailure(error: unknown): void;
}

/** Sends the heartbeats of one registration until `stop`. If one fails, it cuts the connection. */
export class Heartbeat {
  readonly #pulse: Pulse;
  readonly #options: HeartbeatOptions;
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(pulse: Pulse, options: HeartbeatOptions) {
    this.#pulse = pulse;
    this.#options = options;
    this.#schedule();
  }

  /** Sends an extra heartbeat. Resolves to whether it succeeded. */
  async now(): Promise<boolean> {
    const { requestTimeoutMs, onFailure } = this.#options;
    try {
      await this.#beat(requestTimeoutMs);
      return true;
    } catch (error) {
      this.#pulse.link.destroy();
      onFailure(error);
      return false;
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    const { takeoverDelayMs } = this.#options;
    const everyMs = takeoverDelayMs === 0 ? MAX_INTERVAL_MS : Math.min(takeoverDelayMs / 5, MAX_INTERVAL_MS);
    this.#timer = startTimer(everyMs, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const { takeoverDelayMs, requestTimeoutMs, onFailure } = this.#options;
    try {
      await this.#beat(Math.min(requestTimeoutMs, Math.max(takeoverDelayMs / 2, MAX_INTERVAL_MS)));
    } catch (error) {
      // Once stopped, the link is being closed properly: do not cut it.
      if (!this.#isStopped) {
        this.#pulse.link.destroy();
        onFailure(error);
      }
    }
    if (!this.#isStopped) {
      this.#schedule();
    }
  }

  async #beat(patienceMs: number): Promise<void> {
    const { link } = this.#pulse;
    this.#options.onBeat(
      await withTimeout(beat(this.#pulse), patienceMs, () =>
        link.destroy(new LinkClosed("a heartbeat had no answer in time")),
      ),
    );
  }
}
