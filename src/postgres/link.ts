import net from "node:net";
import { createSecureContext } from "node:tls";
import postgres from "postgres";
import { startTimer, type Timer } from "../clock.js";
import { describeType } from "../describe.js";
import { realTimersFor, realTimersInNextMicrotask, withRealTimers } from "../real-timers.js";
import type { ConnectionTarget } from "./connection-url.js";
import { inOneTrip } from "./one-trip.js";

/** A value of a parameter. Arrays are sent as text (see array-literal.ts), so that no client's serializers touch them. */
export type Parameter = string | number | boolean | null;

export type Row = Readonly<Record<string, unknown>>;

/** What `Link.open` needs besides the address. */
export interface LinkOptions {
  readonly target: ConnectionTarget;
  readonly host: { readonly host: string; readonly port: number } | null;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /**
   * Named prepared statements. False where a transaction pooler may stand in between: one statement need not meet what
   * another has prepared.
   */
  readonly prepare: boolean;
  readonly onNotify?: () => void;
  /** A commit was answered, but the wait for its synchronous standby had been cancelled. */
  readonly onUnconfirmedCommit?: () => void;
}

/** More than postgres.js takes between a message about the password and its answer. */
const MICROTASKS_OF_LOGIN = 40;
/** The first byte of what the server says about it. */
const AUTHENTICATION = 0x52;

/** The connection is gone, and with it the answers to what was sent over it. */
export class LinkClosed extends Error {}

/**
 * One connection to one backend, for one life: when the socket closes, the link is dead for good. postgres.js by itself would
 * connect again, silently, to a backend that holds none of what the old one held (porsager/postgres #1195).
 *
 * The socket is made here, so that it can be cut without waiting for the other side, and keeps the process alive only while
 * an answer is awaited.
 */
export class Link {
  readonly #sql: postgres.Sql;
  readonly #options: LinkOptions;
  readonly #onClose = new Set<() => void>();
  #socket: net.Socket | null = null;
  #inFlight = 0;
  #waiting = 0;
  #isPipelined = false;
  /** Settles when nothing is sent or waits to be. */
  #queue: Promise<unknown> = Promise.resolve();
  #isLoggedIn = false;
  #isDead = false;
  #error: Error | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { target, host } = options;
    // A dead client must not connect again: each attempt after the first is refused by #connect.
    let attempts = 0;
    this.#sql = postgres({
      host: [host?.host ?? "localhost"],
      port: [host?.port ?? 5432],
      ...(target.path === null ? {} : { path: target.path }),
      database: target.database,
      user: target.user,
      pass: this.#passwordFor(target),
      ssl: target.ssl,
      sslnegotiation: target.sslnegotiation,
      connection: { ...target.startup, application_name: options.applicationName },
      max: 1,
      max_lifetime: null,
      idle_timeout: 0,
      connect_timeout: 0,
      keep_alive: 0,
      fetch_types: false,
      prepare: options.prepare,
      target_session_attrs: null,
      socket: () => {
        attempts += 1;
        if (attempts > 1 || this.#isDead) {
          throw new LinkClosed("this connection is closed");
        }
        // What it throws for a certificate that is none, nobody catches once postgres.js does the same.
        if (typeof target.ssl === "object") {
          createSecureContext(target.ssl);
        }
        return this.#connect();
      },
      onclose: () => this.destroy(new LinkClosed("the connection was closed")),
      onnotify: () => options.onNotify?.(),
      onnotice: (notice: { routine?: string }) => {
        if (notice.routine === "SyncRepWaitForLSN") {
          options.onUnconfirmedCommit?.();
        }
      },
    } as unknown as postgres.Options<Record<string, never>>);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Statements that were sent and have no answer yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Statements that are sent when those before them are answered. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls once when the link is dead; at once if it is. Returns what takes the listener off. */
  onClose(listener: () => void): () => void {
    if (this.#isDead) {
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

  /** Rejects with the server's error, or with LinkClosed when there is no answer and there will be none. */
  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    if (this.#isPipelined) {
      return this.#send(text, parameters);
    }
    this.#waiting += 1;
    const answer = this.#queue.then(() => {
      this.#waiting -= 1;
      return this.#send(text, parameters);
    });
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  async #send(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    if (this.#isDead) {
      throw this.#error ?? new LinkClosed("this connection is closed");
    }
    this.#inFlight += 1;
    this.#socket?.ref();
    try {
      const query = inOneTrip(this.#sql.unsafe(text, [...parameters], { prepare: this.#options.prepare }));
      // postgres.js begins with it in the next microtask.
      realTimersInNextMicrotask(() => query.execute());
      const rows = await query;
      this.#isLoggedIn = true;
      return rows;
    } catch (error) {
      throw this.#judge(error);
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) {
        this.#socket?.unref();
      }
    }
  }

  /** Ends it in the orderly way, within a second. */
  async end(): Promise<void> {
    if (!this.#isDead) {
      const orderly = new Promise<void>((resolve) => {
        const timer = startTimer(1_000, resolve, { keepsAlive: true });
        this.onClose(() => {
          timer.cancel();
          resolve();
        });
      });
      void this.#queue.then(() => this.#endClient(1));
      await orderly;
    }
    this.destroy(new LinkClosed("this connection was ended"));
  }

  /** Cuts it at once, whatever the other side does. What is in flight rejects. */
  destroy(error: Error = new LinkClosed("this connection was cut")): void {
    if (this.#isDead) {
      return;
    }
    this.#isDead = true;
    this.#error = error;
    this.#socket?.destroy();
    this.#endClient(0);
    for (const listener of this.#onClose) {
      listener();
    }
    this.#onClose.clear();
  }

  #endClient(timeout: number): void {
    realTimersInNextMicrotask(() => {
      this.#sql.end({ timeout }).catch(() => undefined);
    });
  }

  #judge(error: unknown): unknown {
    if (error instanceof Error && "severity" in error && "code" in error) {
      // After FATAL the server closes; the next query was once rejected with the error of this one.
      if (error.severity === "FATAL" || error.severity === "PANIC") {
        this.destroy(error);
      }
      return error;
    }
    const cause = error instanceof Error ? error : new Error(String(error));
    this.destroy(cause);
    // Why it was cut says more than that it was.
    return this.#error instanceof LinkClosed ? this.#error : new LinkClosed(cause.message, { cause });
  }

  /** Nobody catches what postgres.js rejects with while it logs in: a function that fails would end the process. */
  #passwordFor({ password }: ConnectionTarget): ConnectionTarget["password"] {
    if (typeof password !== "function") {
      return password;
    }
    return async () => {
      try {
        const text: unknown = await password();
        if (typeof text !== "string") {
          throw new TypeError(`expected a string, got ${describeType(text)}`);
        }
        realTimersFor(MICROTASKS_OF_LOGIN);
        return text;
      } catch (error) {
        this.destroy(new LinkClosed("the function that gives the password failed", { cause: error }));
        return await new Promise<never>(() => undefined);
      }
    };
  }

  #connect(): Promise<net.Socket> {
    const { target, host, connectTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const socket =
        target.path === null ? net.connect(host?.port ?? 5432, host?.host ?? "localhost") : net.connect(target.path);
      this.#socket = socket;
      this.#guardTimers(socket);
      let timer: Timer | null = null;
      const settle = (error: Error | null): void => {
        timer?.cancel();
        socket.off("connect", onConnect);
        socket.off("error", settle);
        socket.off("close", onClose);
        if (error === null) {
          resolve(socket);
        } else {
          socket.on("error", () => undefined);
          socket.destroy();
          reject(error);
        }
      };
      const onConnect = (): void => {
        socket.setNoDelay(true);
        socket.setKeepAlive(true, 5_000);
        // postgres.js asks for the name that a certificate must have.
        Object.assign(socket, { host: host?.host });
        settle(null);
        realTimersFor(MICROTASKS_OF_LOGIN);
      };
      const onClose = (): void => settle(new LinkClosed("the connection was closed while connecting"));
      socket.once("connect", onConnect);
      socket.once("error", settle);
      socket.once("close", onClose);
      timer = startTimer(
        connectTimeoutMs,
        () =>
          settle(Object.assign(new Error(`no connection within ${connectTimeoutMs} ms`), { code: "CONNECT_TIMEOUT" })),
        { keepsAlive: true },
      );
    });
  }

  /** postgres.js writes by setImmediate. A user's fake one would keep renewals from being sent (see real-timers.ts). */
  #guardTimers(socket: net.Socket): void {
    const { emit } = socket;
    const emitWithRealTimers = (...args: unknown[]): boolean => {
      const [event, chunk] = args;
      const hasListeners = withRealTimers(() => Reflect.apply(emit, socket, args));
      if (!this.#isLoggedIn && event === "data" && (chunk as Uint8Array)[0] === AUTHENTICATION) {
        realTimersFor(MICROTASKS_OF_LOGIN);
      }
      return hasListeners;
    };
    socket.emit = emitWithRealTimers as typeof emit;
  }
}
