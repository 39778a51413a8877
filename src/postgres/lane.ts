import { type Instant, now } from "../clock.js";
import type { PostgresClient } from "../options.js";
import { withTimeout } from "../timeout.js";
import type { ClockSample, Hello } from "./connect.js";
import { type Link, LinkClosed, type Parameter, type Row } from "./link.js";
import { inOneTrip } from "./one-trip.js";

/** Rows, and when this process asked and heard. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
}

/** A statement failed before it was sent: nothing can have happened. */
export class NotSent extends Error {}

/** Where statements of one purpose go. */
export interface Lane {
  /** @throws NotSent (its cause says why), the server's error, LinkClosed or RequestTimeout (outcome unknown) */
  query(text: string, parameters: readonly Parameter[]): Promise<Answer>;
  end(): Promise<void>;
}

/**
 * One connection of our own, made when first needed and replaced when it dies. A statement without an answer in time ends
 * the connection: there is no way to tell a slow server from a cut line, and what follows on it would wait as well.
 */
export class OwnLane implements Lane {
  readonly #connect: (signal: AbortSignal) => Promise<{ link: Link; hello: Hello }>;
  readonly #timeoutMs: number;
  readonly #onClock: (sample: ClockSample) => void;
  #link: Promise<Link> | null = null;
  #connecting = new AbortController();

  constructor(
    connect: (signal: AbortSignal) => Promise<{ link: Link; hello: Hello }>,
    timeoutMs: number,
    onClock: (sample: ClockSample) => void,
  ) {
    this.#connect = connect;
    this.#timeoutMs = timeoutMs;
    this.#onClock = onClock;
  }

  async query(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    let link: Link;
    try {
      link = await this.#ready();
    } catch (error) {
      throw new NotSent("not connected", { cause: error });
    }
    const sentAt = now();
    const rows = await withTimeout(link.query(text, parameters), this.#timeoutMs, () => link.destroy());
    return { rows, sentAt, receivedAt: now() };
  }

  async end(): Promise<void> {
    const link = this.#link;
    this.#link = null;
    this.#connecting.abort();
    this.#connecting = new AbortController();
    await link?.then((open) => open.end()).catch(() => undefined);
  }

  #ready(): Promise<Link> {
    this.#link ??= this.#open();
    return this.#link;
  }

  #open(): Promise<Link> {
    const opening = this.#connect(this.#connecting.signal).then(({ link, hello }) => {
      this.#onClock(hello.clock);
      link.onClose(() => {
        if (this.#link === opening) {
          this.#link = null;
        }
      });
      return link;
    });
    opening.catch(() => {
      if (this.#link === opening) {
        this.#link = null;
      }
    });
    return opening;
  }
}

interface Queryable {
  unsafe(text: string, parameters: readonly Parameter[], options: { prepare: boolean }): Promise<readonly Row[]>;
  readonly options: { readonly prepare?: boolean };
}

/** The user's own client. It is never ended, and a statement without an answer can only be given up. */
export class GivenLane implements Lane {
  readonly #sql: Queryable;
  readonly #timeoutMs: number;

  constructor(sql: PostgresClient, timeoutMs: number) {
    this.#sql = sql as unknown as Queryable;
    this.#timeoutMs = timeoutMs;
  }

  async query(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const sentAt = now();
    const query = inOneTrip(this.#sql.unsafe(text, [...parameters], { prepare: this.#sql.options.prepare !== false }));
    const rows = await withTimeout(Promise.resolve(query), this.#timeoutMs).catch((error: unknown) => {
      const isServers = error instanceof Error && "severity" in error;
      throw isServers || !(error instanceof Error) ? error : new LinkClosed(error.message, { cause: error });
    });
    return { rows, sentAt, receivedAt: now() };
  }

  async end(): Promise<void> {}
}
