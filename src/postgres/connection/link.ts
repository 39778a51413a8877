import type postgres from "postgres";
import { monotonicNowMs, startTimer } from "../../runtime/clock.js";
import { type ClientOptions, clientOf, type Notice, passwordOf } from "./client.js";
import { dial } from "./dial.js";
import { withoutExactTimes } from "./exact-times.js";
import { noteFailedAt, placeOf } from "./failed-at.js";
import { asLinkClosed, LinkClosed, NeverSent } from "./link-closed.js";
import { execute, realTimersFor } from "./postgres-js.js";
import { type Statement, Unanswered } from "./unanswered.js";
import { MICROTASKS_OF_LOGIN, Wire } from "./wire.js";

/** The value of a parameter. Arrays are sent as text (see array-literal.ts), so that no client's serializers change them. */
export type Parameter = string | number | boolean | null;

export type Row = Readonly<Record<string, unknown>>;

/** Where and how a link connects. */
export interface LinkOptions extends Pick<ClientOptions, "target" | "host" | "applicationName" | "prepare"> {
  /** Idle time before the first TCP keepalive. Default 5,000. */
  readonly keepAliveMs?: number;
  /** Whether it keeps the process alive while it connects and while an answer is awaited. Default true. */
  readonly keepsProcess?: boolean;
  readonly onNotify?: () => void;
  /** Must not throw. */
  readonly onNotice?: (notice: Notice) => void;
  /** A commit was answered, but the wait for its synchronous standby was cancelled (rule 9). */
  readonly onUnconfirmedCommit?: () => void;
}

const KEEPALIVE_MS = 5_000;
/** The longest that a proper end of the connection may take. */
const FAREWELL_MS = 1_000;

/**
 * One connection to one backend, for one life (decision 23). postgres.js speaks the protocol, but the socket is ours
 * (see wire.ts). By itself postgres.js would silently reconnect to a backend that has none of our locks
 * (porsager/postgres #1195), leave statements unsettled, and write to a socket that is gone. So it is never ended, and
 * never told that the connection died. This class rejects every statement in flight.
 *
 * It connects with the first statement. The caller may destroy it at any time.
 */
export class Link {
  readonly #sql: postgres.Sql;
  readonly #options: LinkOptions;
  readonly #keepsProcess: boolean;
  readonly #onClose = new Set<() => void>();
  readonly #dialing = new AbortController();
  /** A slow server cannot be told from a broken network: when one statement has no answer in time, the connection is cut. */
  readonly #unanswered: Unanswered = new Unanswered(() =>
    this.destroy(new LinkClosed("a statement had no answer in time")),
  );
  #wire: Wire | null = null;
  #password = "";
  #waiting = 0;
  #isPipelined = false;
  #hasOwnSettings = false;
  /** What is sent instead of a text. */
  readonly #texts = new Map<string, string>();
  /** Settles when nothing is in flight or waiting to be sent. */
  #queue: Promise<unknown> = Promise.resolve();
  #isEnding = false;
  #death: LinkClosed | null = null;
  /** Where it leads, for people to read. */
  readonly place: string;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.place = placeOf(options.target, options.host);
    this.#keepsProcess = options.keepsProcess ?? true;
    this.#sql = clientOf({
      ...options,
      connect: () => this.#connect(),
      password: () => this.#password,
      onNotify: () => options.onNotify?.(),
      onNotice: (notice) => {
        if (notice.routine === "SyncRepWaitForLSN") {
          options.onUnconfirmedCommit?.();
        }
        options.onNotice?.(notice);
      },
    });
  }

  /** Why it is dead. Null while it is alive. */
  get death(): LinkClosed | null {
    return this.#death;
  }

  get isDead(): boolean {
    return this.#death !== null;
  }

  /** Null for a unix socket, and while there is no connection. */
  get localPort(): number | null {
    return this.#wire?.socket.localPort ?? null;
  }

  /** Number of statements that were sent and have no answer yet. */
  get inFlight(): number {
    return Math.max(0, this.#unanswered.size - this.#waiting); // who waits on one that is dead learns of it a moment later
  }

  /** Number of statements that wait until those before them are answered. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls the listener once when the link dies, at once if it is dead. Returns a function that removes the listener. */
  onClose(listener: () => void): () => void {
    if (this.isDead) {
      listener();
      return () => undefined;
    }
    this.#onClose.add(listener);
    return () => this.#onClose.delete(listener);
  }

  /**
   * From now on, sends statements without waiting for the previous answer. Only for Postgres itself. If such a connection is
   * cut, PgBouncer (1.18) takes the first answer for the last and passes the backend on. The second answer then goes to
   * another client, which is one answer behind from then on. If a statement fails, Pgpool-II (4.3) answers the next one with
   * what it has asked itself (see server-messages.ts).
   */
  pipeline(): void {
    this.#isPipelined = true;
  }

  /** From now on its settings are ours (see connect.ts), for as long as it lives: no statement has to bring one along. */
  keepSettings(): void {
    this.#hasOwnSettings = true;
    this.#texts.clear();
  }

  /**
   * Without an answer within `timeoutMs` it rejects with RequestTimeout, and the connection is cut. Otherwise it rejects with the server's
   * error, with NeverSent, or with LinkClosed if there will be no answer. `nowMs`: the monotonic clock, for a caller that has read it already.
   */
  query(
    text: string,
    parameters: readonly Parameter[] = [],
    timeoutMs: number = Infinity,
    nowMs: number = monotonicNowMs(),
  ): Promise<readonly Row[]> {
    if (this.#isEnding || this.#death !== null) {
      return Promise.reject(this.#neverSent());
    }
    const answer = new Promise<readonly Row[]>((resolve, reject) => {
      const statement: Statement = {
        timeoutMs,
        dueAtMs: nowMs + timeoutMs,
        resolve,
        reject,
        isSent: false,
        previous: null,
        next: null,
      };
      this.#unanswered.add(statement);
      if (this.#keepsProcess && this.#unanswered.size === 1) {
        this.#wire?.socket.ref();
      }
      this.#unanswered.due.by(statement.dueAtMs);
      const sent = this.#texts.get(text) ?? this.#learn(text);
      if (this.#isPipelined) {
        this.#send(statement, sent, parameters);
        return;
      }
      this.#waiting += 1;
      void this.#queue.then(() => {
        this.#waiting -= 1;
        if (this.#unanswered.has(statement)) {
          this.#send(statement, sent, parameters);
        }
      });
    });
    // Answers come in the order of the statements: after the last one, all have come.
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  #learn(text: string): string {
    const sent = this.#hasOwnSettings ? withoutExactTimes(text) : text;
    this.#texts.set(text, sent);
    return sent;
  }

  #send(statement: Statement, text: string, parameters: readonly Parameter[]): void {
    statement.isSent = true;
    const query = this.#sql.unsafe(text, parameters as Parameter[], { prepare: this.#options.prepare });
    // postgres.js starts it in the next microtask.
    execute(query);
    query.then(
      (rows) => {
        if (this.#settle(statement)) {
          statement.resolve(rows);
        }
      },
      (error: unknown) => {
        if (this.#settle(statement)) {
          statement.reject(this.#rejectionOf(error));
        }
      },
    );
  }

  #neverSent(): NeverSent {
    return this.#death === null
      ? new NeverSent("this connection was ended")
      : new NeverSent(this.#death.message, { cause: this.#death });
  }

  /** Whether it was still awaited. */
  #settle(statement: Statement): boolean {
    const wasAwaited = this.#unanswered.remove(statement);
    if (wasAwaited && this.#keepsProcess && this.#unanswered.size === 0) {
      this.#wire?.socket.unref();
    }
    return wasAwaited;
  }

  /** Ends it properly, within a second: waits for outstanding answers, then sends Terminate. */
  async end(): Promise<void> {
    this.#isEnding = true;
    if (!this.isDead) {
      await new Promise<void>((resolve) => {
        const timer = startTimer(FAREWELL_MS, resolve, { keepsAlive: this.#keepsProcess });
        this.onClose(() => {
          timer.cancel();
          resolve();
        });
        void this.#queue.then(() => (this.#wire === null ? resolve() : this.#wire.hangUp()));
      });
    }
    this.destroy(new LinkClosed("this connection was ended"));
  }

  /** Cuts it at once, without waiting for the server. Statements in flight are rejected. */
  destroy(error: Error = new LinkClosed("this connection was cut")): void {
    if (this.#death !== null) {
      return;
    }
    const death = asLinkClosed(error);
    noteFailedAt(death, this.place);
    this.#death = death;
    this.#dialing.abort(death);
    this.#wire?.cut();
    this.#unanswered.rejectAll(death);
    for (const listener of this.#onClose) {
      listener();
    }
    this.#onClose.clear();
  }

  /** What a statement rejects with. Any error other than the server's about this statement ends the connection. */
  #rejectionOf(error: unknown): unknown {
    const isServers = error instanceof Error && "severity" in error && "code" in error;
    if (isServers && error.severity !== "FATAL" && error.severity !== "PANIC") {
      return error;
    }
    this.destroy(error as Error);
    noteFailedAt(error, this.place);
    // The reason for the cut says more than the cut itself.
    return isServers ? error : this.#death;
  }

  async #connect(): Promise<Wire> {
    const { target, host, keepAliveMs = KEEPALIVE_MS } = this.#options;
    try {
      this.#password = await passwordOf(target);
      const keepsProcess = this.#keepsProcess;
      const socket = await dial(target, host, { signal: this.#dialing.signal, keepAliveMs, keepsProcess });
      const wire = new Wire(socket, (error) => this.destroy(error));
      this.#wire = wire;
      if (this.#death !== null) {
        wire.cut();
        throw this.#death;
      }
      if (!keepsProcess || this.#unanswered.size === 0) {
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
