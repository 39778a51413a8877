import postgres from "postgres";
import type { ConnectionTarget } from "../../config/connection-url.js";
import { startTimer } from "../../runtime/clock.js";
import { describeType } from "../../runtime/describe.js";
import { dial, type Host } from "./dial.js";
import { execute, inOneTrip, realTimersFor } from "./postgres-js.js";
import { MICROTASKS_OF_LOGIN, Wire } from "./wire.js";

/** A value of a parameter. Arrays are sent as text (see array-literal.ts), so that no client's serializers touch them. */
export type Parameter = string | number | boolean | null;

export type Row = Readonly<Record<string, unknown>>;

/** Where a link leads, and how. */
export interface LinkOptions {
  readonly target: ConnectionTarget;
  /** One of the target's hosts; null for its unix socket. */
  readonly host: Host;
  readonly applicationName: string;
  /**
   * Named prepared statements. False where a transaction pooler may stand in between: one statement need not meet what
   * another has prepared.
   */
  readonly prepare: boolean;
  /** From a connection's silence to the first TCP keepalive. Default 5,000. */
  readonly keepAliveMs?: number;
  readonly onNotify?: () => void;
  /** Must not throw. */
  readonly onNotice?: (notice: Notice) => void;
  /** A commit was answered, but the wait for its synchronous standby had been cancelled. */
  readonly onUnconfirmedCommit?: () => void;
}

/** The fields of a message of the server, by postgres.js's names for them. */
export type Notice = { readonly [field: string]: string | undefined };

const KEEPALIVE_MS = 5_000;
/** How long an orderly end may take. */
const FAREWELL_MS = 1_000;

/** The connection is gone, and with it the answers to what was sent over it. */
export class LinkClosed extends Error {}

/** It was gone before the statement was sent: nothing can have happened. */
export class NeverSent extends LinkClosed {}

/**
 * One connection to one backend, for one life. postgres.js speaks the protocol, but the socket is ours (see wire.ts). By itself
 * postgres.js would connect again, silently, to a backend that holds none of what the old one held (porsager/postgres #1195),
 * leave statements unsettled, and write to a socket that is gone. So it is never told that the connection died, and never
 * ended: every statement in flight is rejected here.
 *
 * It connects with the first statement, and sets itself no limit of time: whoever gives up destroys it, at any moment. It keeps the
 * process alive only while an answer is awaited.
 */
export class Link {
  readonly #sql: postgres.Sql;
  readonly #options: LinkOptions;
  readonly #onClose = new Set<() => void>();
  readonly #dialing = new AbortController();
  /** Rejects each statement that has no answer yet. */
  readonly #inFlight = new Set<(error: Error) => void>();
  #wire: Wire | null = null;
  #password = "";
  #waiting = 0;
  #isPipelined = false;
  /** Settles when nothing is in flight or waits to be sent. */
  #queue: Promise<unknown> = Promise.resolve();
  #isEnding = false;
  /** Why it is dead; null while it lives. */
  #death: LinkClosed | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { target, host } = options;
    this.#sql = clientOf({
      host: [host?.host ?? "localhost"],
      port: [host?.port ?? 5432],
      database: target.database,
      user: target.user,
      pass: () => this.#password,
      ssl: false,
      connection: { ...target.startup, application_name: options.applicationName },
      max: 1,
      max_lifetime: null,
      idle_timeout: 0,
      connect_timeout: 0,
      keep_alive: 0,
      fetch_types: false,
      prepare: options.prepare,
      // What is left out here, postgres.js takes from variables such as PGDEBUG, which would show tokens in errors.
      max_pipeline: 100,
      backoff: 0,
      debug: false,
      sslnegotiation: null,
      socket: () => this.#connect(),
      onnotify: () => options.onNotify?.(),
      onnotice: (notice: Notice) => {
        if (notice.routine === "SyncRepWaitForLSN") {
          options.onUnconfirmedCommit?.();
        }
        options.onNotice?.(notice);
      },
    });
  }

  get isDead(): boolean {
    return this.#death !== null;
  }

  /** Statements that were sent and have no answer yet. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Statements that are sent when those before them are answered. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls once when the link is dead; at once if it is. Returns what takes the listener off. */
  onClose(listener: () => void): () => void {
    if (this.isDead) {
      listener();
      return () => undefined;
    }
    this.#onClose.add(listener);
    return () => this.#onClose.delete(listener);
  }

  /**
   * From now on statements are sent without waiting for the answer to the one before. Only to Postgres itself: when such a
   * connection is cut, PgBouncer (1.18) takes the first answer for the last one, hands the backend on, and the second answer
   * goes to a stranger, who is one behind from then on.
   */
  pipeline(): void {
    this.#isPipelined = true;
  }

  /** Rejects with the server's error; with NeverSent; or with LinkClosed when there is no answer and there will be none. */
  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    if (this.#isEnding) {
      return Promise.reject(new NeverSent("this connection was ended"));
    }
    const answer = this.#isPipelined ? this.#send(text, parameters) : this.#sendInTurn(text, parameters);
    // Answers come in the order of the statements: with the last one all are there.
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  async #sendInTurn(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    this.#waiting += 1;
    await this.#queue;
    this.#waiting -= 1;
    return await this.#send(text, parameters);
  }

  #send(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#death !== null) {
        reject(new NeverSent(this.#death.message, { cause: this.#death }));
        return;
      }
      const settle = (): void => {
        this.#inFlight.delete(fail);
        if (this.#inFlight.size === 0) {
          this.#wire?.socket.unref();
        }
      };
      const fail = (error: unknown): void => {
        settle();
        reject(this.#rejectionOf(error));
      };
      this.#inFlight.add(fail);
      this.#wire?.socket.ref();
      const query = inOneTrip(this.#sql.unsafe(text, [...parameters], { prepare: this.#options.prepare }));
      // postgres.js begins with it in the next microtask.
      execute(query);
      query.then((rows) => {
        settle();
        resolve(rows);
      }, fail);
    });
  }

  /** Ends it in the orderly way, within a second: after the answers to what was asked, with the protocol's farewell. */
  async end(): Promise<void> {
    this.#isEnding = true;
    if (!this.isDead) {
      await new Promise<void>((resolve) => {
        const timer = startTimer(FAREWELL_MS, resolve, { keepsAlive: true });
        this.onClose(() => {
          timer.cancel();
          resolve();
        });
        void this.#queue.then(() => (this.#wire === null ? resolve() : this.#wire.hangUp()));
      });
    }
    this.destroy(new LinkClosed("this connection was ended"));
  }

  /** Cuts it at once, whatever the other side does. What is in flight rejects. */
  destroy(error: Error = new LinkClosed("this connection was cut")): void {
    if (this.#death !== null) {
      return;
    }
    const death = asLinkClosed(error);
    this.#death = death;
    this.#dialing.abort(death);
    this.#wire?.cut();
    for (const fail of this.#inFlight) {
      fail(death);
    }
    for (const listener of this.#onClose) {
      listener();
    }
    this.#onClose.clear();
  }

  /** What a statement rejects with. Whatever is not the server's error about this statement ends the connection. */
  #rejectionOf(error: unknown): unknown {
    const isServers = error instanceof Error && "severity" in error && "code" in error;
    if (isServers && error.severity !== "FATAL" && error.severity !== "PANIC") {
      return error;
    }
    this.destroy(error as Error);
    // Why it was cut says more than that it was.
    return isServers ? error : this.#death;
  }

  /** Called once: postgres.js connects again only when it hears that its socket closed. */
  async #connect(): Promise<Wire> {
    const { target, host, keepAliveMs = KEEPALIVE_MS } = this.#options;
    try {
      this.#password = await passwordOf(target);
      const socket = await dial(target, host, { signal: this.#dialing.signal, keepAliveMs });
      const wire = new Wire(socket, (error) => this.destroy(error));
      this.#wire = wire;
      if (this.#death !== null) {
        wire.cut();
        throw this.#death;
      }
      if (this.#inFlight.size === 0) {
        socket.unref();
      }
      realTimersFor(MICROTASKS_OF_LOGIN);
      return wire;
    } catch (error) {
      this.destroy(error as Error);
      throw this.#death;
    }
  }
}

/**
 * A client that heeds nothing of the environment. Only PGTARGETSESSIONATTRS cannot be overridden by an option that says "none":
 * postgres.js throws for libpq's "any", and refuses a primary for "standby". But it takes options that it has parsed as they are.
 */
function clientOf(options: object): postgres.Sql {
  const parsed = postgres({ ...options, target_session_attrs: "primary" }).options;
  return postgres({ ...parsed, target_session_attrs: null } as unknown as postgres.Options<Record<string, never>>);
}

/** Asked before the driver is at work: what fails while it logs in, nobody could catch. */
async function passwordOf({ password }: ConnectionTarget): Promise<string> {
  if (typeof password !== "function") {
    return password;
  }
  try {
    const text: unknown = await password();
    if (typeof text !== "string") {
      throw new TypeError(`expected a string, got ${describeType(text)}`);
    }
    return text;
  } catch (error) {
    throw new LinkClosed("the function that gives the password failed", { cause: error });
  }
}

function asLinkClosed(error: unknown): LinkClosed {
  if (error instanceof LinkClosed) {
    return error;
  }
  return new LinkClosed(error instanceof Error ? error.message : String(error), { cause: error });
}
