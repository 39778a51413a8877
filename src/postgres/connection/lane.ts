import { after, type Instant, isPast, msUntil, now } from "../../runtime/clock.js";
import { withTimeout } from "../../runtime/timeout.js";
import type { ConnectionState } from "../../store/backend-state.js";
import type { ClockSample } from "../../store/server-clock.js";
import { type Hello, seemsDirect } from "./connect.js";
import { noteFailedAt } from "./failed-at.js";
import type { Link, Parameter, Row } from "./link.js";
import { LinkClosed, NeverSent } from "./link-closed.js";

/** The rows, and when this process sent the statement and received them. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
}

/** A statement failed before it was sent: nothing can have happened. */
export class NotSent extends Error {}

/** The given client was ended by its owner: nothing can be sent through it any more. */
export class ClientEnded extends Error {
  readonly code = "CLIENT_ENDED";
}

/** A statement that failed, and how long it may take in all. */
interface Failed {
  readonly text: string;
  readonly parameters: readonly Parameter[];
  readonly isRead: boolean;
  readonly deadline: Instant;
}

/** A connection, and what the server said when it was opened. */
export interface Made {
  readonly link: Link;
  readonly hello: Hello;
}

/** The connection for statements of one purpose. */
export interface Lane {
  /** @throws NotSent (its cause says why), the server's error, LinkClosed or RequestTimeout (outcome unknown) */
  query(text: string, parameters: readonly Parameter[]): Promise<Answer>;
  /** For statements that change nothing: repeated once, within the time limit, if the connection dies before the answer. */
  read(text: string, parameters: readonly Parameter[]): Promise<Answer>;
  end(): Promise<void>;
  readonly state: ConnectionState;
  /** Whether statements reach the server in the order in which they are sent: there is one connection, and it is open now. */
  readonly keepsOrder: boolean;
}

/**
 * One connection of our own, opened when first needed and replaced when it dies. A statement that is not answered in
 * time ends the connection (decision 23): a slow server cannot be told from a broken network, and the next statement
 * would wait as well. Statements that were queued behind it are sent on the next connection if they were not sent yet,
 * or if it is harmless to repeat them.
 */
export class OwnLane implements Lane {
  readonly #connect: (signal: AbortSignal) => Promise<Made>;
  readonly #timeoutMs: number;
  readonly #onClock: (sample: ClockSample) => void;
  #made: Promise<Made> | null = null;
  /** What `#made` resolved to. Null again as soon as the connection dies. */
  #open: Made | null = null;
  /** Statements that have no connection yet. */
  #waiting = 0;
  #connecting = new AbortController();
  /** Set while the connection is lent. Resolves when it is back. */
  #loan: Promise<void> | null = null;

  constructor(
    connect: (signal: AbortSignal) => Promise<Made>,
    timeoutMs: number,
    onClock: (sample: ClockSample) => void,
  ) {
    this.#connect = connect;
    this.#timeoutMs = timeoutMs;
    this.#onClock = onClock;
  }

  read(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    return this.query(text, parameters, true);
  }

  get keepsOrder(): boolean {
    return this.#open !== null && this.#loan === null;
  }

  async query(text: string, parameters: readonly Parameter[], isRead = false): Promise<Answer> {
    // An open connection is asked at once, in this very turn: `keepsOrder` promises that.
    const link = this.#open !== null && this.#loan === null ? this.#open.link : await this.#connected();
    const sentAt = now();
    try {
      const rows = await link.query(text, parameters, this.#timeoutMs, sentAt.monotonicMs);
      return { rows, sentAt, receivedAt: now() };
    } catch (error) {
      noteFailedAt(error, link.place);
      return await this.#askAgain(error, { text, parameters, isRead, deadline: after(sentAt, this.#timeoutMs) });
    }
  }

  /** Over the next connection, if the one before is gone: what was never sent; and once, what is harmless to repeat. */
  async #askAgain(failure: unknown, { text, parameters, isRead, deadline }: Failed): Promise<Answer> {
    let wasSent = false;
    for (let error = failure; ; ) {
      const isSentNow = !(error instanceof NeverSent);
      const isGone = error instanceof LinkClosed && !isPast(deadline);
      // Repeated only once: it may be this very statement that kills the connection.
      if (!isGone || (isSentNow && (wasSent || !isRead))) {
        throw isSentNow || wasSent ? error : new NotSent("not connected", { cause: error });
      }
      wasSent ||= isSentNow;
      const link = await withTimeout(this.#connected(), Math.max(1, msUntil(deadline))).catch((cause: unknown) => {
        throw wasSent || cause instanceof NotSent ? cause : new NotSent("not connected", { cause });
      });
      const sentAt = now();
      try {
        const rows = await link.query(text, parameters, Math.max(1, msUntil(deadline)));
        return { rows, sentAt, receivedAt: now() };
      } catch (cause) {
        error = cause;
      }
    }
  }

  async #connected(): Promise<Link> {
    this.#waiting += 1;
    try {
      return await this.#usable();
    } catch (error) {
      throw new NotSent("not connected", { cause: error });
    } finally {
      this.#waiting -= 1;
    }
  }

  get state(): ConnectionState {
    return stateOf(this.#open, this.#made !== null, this.#waiting);
  }

  /** Lends the connection, and opens it if necessary. Statements wait until it is given back. */
  lend(): { readonly made: Promise<Made>; giveBack(): void } {
    let resolveLoan = (): void => undefined;
    const loan = new Promise<void>((resolve) => {
      resolveLoan = resolve;
    });
    let isBack = false;
    const made = this.#ready().then((ready) => {
      this.#loan = isBack ? null : loan;
      return ready;
    });
    const giveBack = (): void => {
      isBack = true;
      this.#loan = null;
      resolveLoan();
    };
    return { made, giveBack };
  }

  async end(): Promise<void> {
    const made = this.#made;
    this.#forget();
    this.#connecting.abort();
    this.#connecting = new AbortController();
    await made?.then(({ link }) => link.end()).catch(() => undefined);
  }

  async #usable(): Promise<Link> {
    for (;;) {
      const { link } = await this.#ready();
      if (this.#loan === null) {
        return link;
      }
      await this.#loan;
    }
  }

  #ready(): Promise<Made> {
    this.#made ??= this.#make();
    return this.#made;
  }

  #make(): Promise<Made> {
    const forgetIt = (): void => {
      if (this.#made === making) {
        this.#forget();
      }
    };
    const making = this.#connect(this.#connecting.signal).then((made) => {
      this.#onClock(made.hello.clock);
      if (this.#made === making) {
        this.#open = made;
      }
      made.link.onClose(forgetIt);
      return made;
    });
    making.catch(forgetIt);
    return making;
  }

  #forget(): void {
    this.#made = null;
    this.#open = null;
  }
}

/** Describes a connection. `open`: null unless it is open. `isWanted`: it is being opened. */
export function stateOf(open: Made | null, isWanted: boolean, waiting: number): ConnectionState {
  return {
    state: open !== null ? "open" : isWanted ? "connecting" : "none",
    pid: open !== null && seemsDirect(open.hello) ? open.hello.pid : null,
    sinceMs: open?.hello.clock.receivedAt.wallMs ?? null,
    inFlight: open?.link.inFlight ?? 0,
    waiting: waiting + (open?.link.waiting ?? 0),
  };
}
