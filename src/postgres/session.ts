import { randomUUID } from "node:crypto";
import { after, driftMarginMs, elapsedMs, type Instant, isPast, now, sleep, startTimer, type Timer } from "../clock.js";
import { LeaseholdError, UnavailableError, UnsafeBackendError } from "../errors.js";
import { RequestTimeout, withTimeout } from "../timeout.js";
import type { ClockSample, Hello } from "./connect.js";
import { type Link, LinkClosed } from "./link.js";
import { sqlState } from "./server-errors.js";

/** First half of the advisory lock that each session holds. */
export const PRESENCE_CLASS = 1_279_480_140;

const MAX_HEARTBEAT_MS = 1_000;
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;

export interface SessionOptions {
  readonly connect: (onNotify: () => void, signal: AbortSignal) => Promise<{ link: Link; hello: Hello }>;
  readonly owner: string;
  readonly host: string;
  readonly version: string;
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
  /** Refuses a backend before the first session on it is used: schema, pooler. */
  readonly inspect: (
    link: Link,
    hello: Hello,
    session: { id: number; nonce: string },
    signal: AbortSignal,
  ) => Promise<void>;
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
  #standing: Standing | null = null;
  #incarnation = 0;
  #link: Link | null = null;
  #backend: { readonly pid: number; readonly startedMs: number } | null = null;
  /** When the last heartbeat was sent that succeeded in this incarnation. */
  #seenSince: Instant | null = null;
  #heartbeat: Timer | null = null;
  #isInspected = false;
  #running: AbortController | null = null;
  /** Settles when no connection is being made into a session any more. Never rejects. */
  #establishing: Promise<unknown> = Promise.resolve();
  #waiting = new Set<{ resolve: (standing: Standing) => void; reject: (error: unknown) => void }>();
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

  /**
   * Whether nobody can have confirmed this session dead: its last heartbeat was *sent* less than the takeover delay ago.
   * With a delay of 0 there is no such time, and a lease's own expiry is all there is.
   */
  get isBelieved(): boolean {
    return this.#options.takeoverDelayMs === 0 || (this.believedUntil !== null && !isPast(this.believedUntil));
  }

  get believedUntil(): Instant | null {
    const { takeoverDelayMs } = this.#options;
    return this.#seenSince === null ? null : after(this.#seenSince, takeoverDelayMs - driftMarginMs(takeoverDelayMs));
  }

  /** Resolves when the session stands, and starts it if need be. Rejects with the last error after `timeoutMs`. */
  async open(timeoutMs: number): Promise<Standing> {
    if (this.#standing !== null) {
      return this.#standing;
    }
    this.#start();
    let waiter: { resolve: (standing: Standing) => void; reject: (error: unknown) => void } | undefined;
    const standing = new Promise<Standing>((resolve, reject) => {
      waiter = { resolve, reject };
      this.#waiting.add(waiter);
    });
    try {
      return await withTimeout(standing, timeoutMs);
    } catch (error) {
      throw this.#lastError ?? error;
    } finally {
      if (waiter !== undefined) {
        this.#waiting.delete(waiter);
      }
    }
  }

  /** Gives the session back: its row, its lock, its connection. `open` brings it back, as a new one. */
  async close(): Promise<void> {
    this.#running?.abort();
    this.#running = null;
    const link = this.#link;
    const standing = this.#standing;
    this.#stand(null);
    this.#link = null;
    this.#id = null;
    this.#backend = null;
    this.#seenSince = null;
    for (const waiter of this.#waiting) {
      waiter.reject(new LinkClosed("the session was closed"));
    }
    if (link !== null) {
      if (standing !== null) {
        await this.#leave(link, standing);
      }
      await link.end();
    }
    // A connection that became a session just now takes its row back.
    await this.#establishing;
  }

  async #leave(link: Link, { id, nonce }: Pick<Standing, "id" | "nonce">): Promise<void> {
    const left = link.query("select leasehold_internal.close_session($1, $2)", [id, nonce]);
    await withTimeout(left, this.#options.requestTimeoutMs, () => link.destroy()).catch(() => undefined);
  }

  /** Drops the connection, as if it had been lost: a new one follows. */
  drop(): void {
    this.#link?.destroy();
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
        this.#stand(null);
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
      for (const waiter of this.#waiting) {
        waiter.reject(error);
      }
      // A set-up that never worked will not work by itself: the next call tries again.
      if (!this.#isInspected) {
        this.#running?.abort();
        this.#running = null;
      }
    }
    this.#events.onError(error);
  }

  async #establish(signal: AbortSignal): Promise<Link> {
    const { link, hello } = await this.#options.connect(() => this.#events.onWake(), signal);
    const establishing = this.#becomeSession(link, hello, signal);
    this.#establishing = establishing.catch(() => undefined);
    return await establishing;
  }

  async #becomeSession(link: Link, hello: Hello, signal: AbortSignal): Promise<Link> {
    let standing: Standing | null = null;
    try {
      refuseIfClosed(signal);
      standing = await withTimeout(this.#register(link, hello, signal), this.#options.requestTimeoutMs, () =>
        link.destroy(),
      );
      if (!this.#isInspected) {
        await this.#inspect(link, hello, standing, signal);
        this.#isInspected = true;
      }
      refuseIfClosed(signal);
      this.#link = link;
      this.#lastError = null;
      this.#stand(standing);
      return link;
    } catch (error) {
      const cause = this.#isInspected || link.isDead ? error : blamePooler(error, hello);
      if (standing !== null) {
        await this.#leave(link, standing);
      }
      link.destroy();
      throw cause;
    }
  }

  async #inspect(link: Link, hello: Hello, standing: Standing, closing: AbortSignal): Promise<void> {
    const given = new AbortController();
    const { requestTimeoutMs } = this.#options;
    // Whoever waits for the session should hear what is wrong with it, and not that it took too long.
    const patienceMs = hello.announcedPid === hello.pid ? requestTimeoutMs : requestTimeoutMs / 2;
    const giveUp = (): void => given.abort();
    closing.addEventListener("abort", giveUp, { once: true });
    try {
      await withTimeout(this.#options.inspect(link, hello, standing, given.signal), patienceMs);
    } finally {
      giveUp();
      closing.removeEventListener("abort", giveUp);
    }
  }

  async #register(link: Link, hello: Hello, signal: AbortSignal): Promise<Standing> {
    await link.query(sessionSettings(this.#options.takeoverDelayMs));
    // Before the inspection it may have been a pooler's, with a stranger on it by now.
    if (this.#isInspected && this.#backend !== null && this.#backend.pid !== hello.pid) {
      // What still stands of us on a line that is cut holds the lock until the server notices. A pid alone may be a stranger's.
      await link.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where pid = $1::int and (extract(epoch from backend_start) * 1000)::float8 = $2::float8`,
        [this.#backend.pid, this.#backend.startedMs],
      );
    }
    const id = await this.#takeLock(link);
    const nonce = randomUUID();
    await link.query(`listen leasehold_${id}`);
    const { owner, host, version } = this.#options;
    await link.query("select * from leasehold_internal.open_session($1::int, $2::uuid, $3, $4, $5)", [
      id,
      nonce,
      owner,
      host,
      version,
    ]);
    if (signal.aborted) {
      await this.#leave(link, { id, nonce });
    }
    refuseIfClosed(signal);
    this.#id = id;
    this.#backend = { pid: hello.pid, startedMs: hello.startedMs };
    this.#incarnation += 1;
    this.#seenSince = null;
    const standing = { id, nonce, incarnation: this.#incarnation };
    await this.#beat(link, standing);
    return standing;
  }

  /** The lock of the number that leases name, or of a new number when somebody else has that one (after a failover). */
  async #takeLock(link: Link): Promise<number> {
    for (let known = this.#id; ; known = null) {
      const id = known ?? Number((await link.query("select leasehold_internal.new_session_id() as id"))[0]?.id);
      try {
        await link.query(`select pg_advisory_lock(${PRESENCE_CLASS}, ${id})`);
        return id;
      } catch (error) {
        if (sqlState(error) !== "55P03") {
          throw error;
        }
      }
    }
  }

  #stand(standing: Standing | null): void {
    this.#standing = standing;
    this.#heartbeat?.cancel();
    this.#heartbeat = null;
    if (standing === null) {
      this.#link = null;
      return;
    }
    this.#scheduleHeartbeat();
    for (const waiter of this.#waiting) {
      waiter.resolve(standing);
    }
    this.#events.onConnected();
    this.#events.onWake();
  }

  #scheduleHeartbeat(): void {
    const { takeoverDelayMs } = this.#options;
    const everyMs = takeoverDelayMs === 0 ? MAX_HEARTBEAT_MS : Math.min(takeoverDelayMs / 5, MAX_HEARTBEAT_MS);
    this.#heartbeat = startTimer(everyMs, () => void this.#heartbeatTurn());
  }

  /** A heartbeat out of turn. Whether it succeeded; when it does not, the connection is dropped. */
  async beatNow(): Promise<boolean> {
    const link = this.#link;
    const standing = this.#standing;
    if (link === null || standing === null) {
      return false;
    }
    try {
      await withTimeout(this.#beat(link, standing), this.#options.requestTimeoutMs, () => link.destroy());
      return true;
    } catch (error) {
      link.destroy();
      this.#fail(error);
      return false;
    }
  }

  async #heartbeatTurn(): Promise<void> {
    const link = this.#link;
    const standing = this.#standing;
    if (link === null || standing === null) {
      return;
    }
    try {
      const { takeoverDelayMs, requestTimeoutMs } = this.#options;
      const patienceMs = Math.min(requestTimeoutMs, Math.max(takeoverDelayMs / 2, MAX_HEARTBEAT_MS));
      await withTimeout(this.#beat(link, standing), patienceMs, () => link.destroy());
    } catch (error) {
      // A link that is being closed still has to say goodbye.
      if (this.#link === link) {
        link.destroy();
        this.#fail(error);
      }
    } finally {
      if (this.#standing === standing) {
        this.#scheduleHeartbeat();
      }
    }
  }

  async #beat(link: Link, standing: Standing): Promise<void> {
    const sentAt = now();
    // As it is when this is sent: close() forgets it while an answer is on its way.
    const pid = this.#backend?.pid;
    const [row] = await link.query("select * from leasehold_internal.heartbeat($1::int, $2::uuid)", [
      standing.id,
      standing.nonce,
    ]);
    this.#events.onClock({ sentAt, receivedAt: now(), serverMs: Number(row?.now) });
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
    if (this.#incarnation === standing.incarnation) {
      this.#seenSince = sentAt;
    }
  }

  /** For debugging and tests: milliseconds since the last heartbeat that succeeded was sent. */
  get silentMs(): number | null {
    return this.#seenSince === null ? null : elapsedMs(this.#seenSince);
  }
}

function refuseIfClosed(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new LinkClosed("the session was closed");
  }
}

/**
 * What a transaction pooler does to a session that is being set up: statements and locks are on other backends than they were
 * put on, or there is no backend left. A session pooler, which also makes up a pid, does none of this.
 */
function blamePooler(error: unknown, hello: Hello): unknown {
  const isOdd =
    error instanceof RequestTimeout ||
    error instanceof LinkClosed ||
    ["26000", "42P05", "55P03", "LH004"].includes(sqlState(error) ?? "");
  return !isOdd || hello.announcedPid === hello.pid
    ? error
    : new UnsafeBackendError({
        problem:
          "The session's connection seems to go through a transaction pooler: it does not keep its backend, or gets none, and locks taken on it protect nothing",
        remedy: 'Give the direct address of Postgres as directUrl, or set presence: "off"',
        cause: error,
      });
}

function isFinal(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && /^(28|3D000|3F000|42|LH004)/.test(state);
}

/**
 * A cut line must end the old backend before the takeover delay is over, for its lock counts as life; and a backend that
 * waits for the lock must notice that its client died.
 */
function sessionSettings(takeoverDelayMs: number): string {
  const seconds = Math.max(1, Math.floor(takeoverDelayMs / 4_000));
  return `set lock_timeout = '1s';
    set tcp_keepalives_idle = ${seconds};
    set tcp_keepalives_interval = ${seconds};
    set tcp_keepalives_count = 2;
    do $$ begin
      perform set_config('client_connection_check_interval', '1s', false);
    exception when others then null; -- this platform cannot
    end $$`;
}
