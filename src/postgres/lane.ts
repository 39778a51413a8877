import { type Instant, now } from "../clock.js";
import type { PostgresClient } from "../postgres-client.js";
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

/** A connection, and what it said when it was opened. */
export interface Made {
  readonly link: Link;
  readonly hello: Hello;
}

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
  readonly #connect: (signal: AbortSignal) => Promise<Made>;
  readonly #timeoutMs: number;
  readonly #onClock: (sample: ClockSample) => void;
  #made: Promise<Made> | null = null;
  #connecting = new AbortController();
  /** While the connection is lent; resolves when it is back. */
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

  async query(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    let link: Link;
    try {
      link = await this.#usable();
    } catch (error) {
      throw new NotSent("not connected", { cause: error });
    }
    const sentAt = now();
    const rows = await withTimeout(link.query(text, parameters), this.#timeoutMs, () => link.destroy());
    return { rows, sentAt, receivedAt: now() };
  }

  /** The connection itself, opened if need be. From when it is there until it is given back, statements wait. */
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
    this.#made = null;
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
    this.#made ??= this.#open();
    return this.#made;
  }

  #open(): Promise<Made> {
    const opening = this.#connect(this.#connecting.signal).then((made) => {
      this.#onClock(made.hello.clock);
      made.link.onClose(() => {
        if (this.#made === opening) {
          this.#made = null;
        }
      });
      return made;
    });
    opening.catch(() => {
      if (this.#made === opening) {
        this.#made = null;
      }
    });
    return opening;
  }
}

interface Queryable {
  unsafe(text: string, parameters: readonly Parameter[], options: { prepare: boolean }): Promise<readonly Row[]>;
  readonly options: {
    readonly prepare?: boolean;
    readonly transform?: { readonly value?: { readonly from?: unknown } };
  };
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
    const isTransformed = typeof this.#sql.options.transform?.value?.from === "function";
    return { rows: isTransformed ? rows.map(withNulls) : rows, sentAt, receivedAt: now() };
  }

  async end(): Promise<void> {}
}

/** A client's own transform of values may have made undefined of null. */
function withNulls(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? null]));
}
