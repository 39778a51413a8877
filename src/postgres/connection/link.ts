import postgres from "postgres";
import type { ConnectionTarget } from "../../config/connection-url.js";
import { Due, monotonicNowMs, startTimer } from "../../runtime/clock.js";
import { describeType } from "../../runtime/describe.js";
import { type Linked, LinkedList } from "../../runtime/linked-list.js";
import { RequestTimeout } from "../../runtime/timeout.js";
import { dial, type Host } from "./dial.js";
import { withoutExactTimes } from "./exact-times.js";
import { execute, inOneTrip, realTimersFor } from "./postgres-js.js";
import { MICROTASKS_OF_LOGIN, Wire } from "./wire.js";

/** The value of a parameter. Arrays are sent as text (see array-literal.ts), so that no client's serializers change them. */
export type Parameter = string | number | boolean | null;

export type Row = Readonly<Record<string, unknown>>;

/** Where and how a link connects. */
export interface LinkOptions {
  readonly target: ConnectionTarget;
  /** One of the target's hosts; null for its unix socket. */
  readonly host: Host;
  readonly applicationName: string;
  /**
   * Whether to use named prepared statements. False if there may be a transaction pooler: the next backend may not have
   * what was prepared on this one.
   */
  readonly prepare: boolean;
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

/** One that has no answer yet. */
interface Statement extends Linked<Statement> {
  readonly timeoutMs: number;
  /** On the monotonic clock. */
  readonly dueAtMs: number;
  readonly resolve: (rows: readonly Row[]) => void;
  readonly reject: (error: unknown) => void;
  isSent: boolean;
  isSettled: boolean;
}

/** The fields of a notice from the server, as postgres.js names them. */
export type Notice = { readonly [field: string]: string | undefined };

const KEEPALIVE_MS = 5_000;
/** The longest that a proper end of the connection may take. */
const FAREWELL_MS = 1_000;

/** The connection is gone, and with it the answers to what was sent over it. */
export class LinkClosed extends Error {}

/** The connection was gone before the statement was sent: nothing can have happened. */
export class NeverSent extends LinkClosed {}

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
  readonly #unanswered: LinkedList<Statement> = new LinkedList();
  readonly #due: Due = new Due(() => this.#endThoseDue());
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
  /** Why it is dead. Null while it is alive. */
  #death: LinkClosed | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#keepsProcess = options.keepsProcess ?? true;
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
      // postgres.js takes missing options from variables such as PGDEBUG, which would show tokens in errors.
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
   * From now on, sends statements without waiting for the previous answer. Only for Postgres itself: if such a
   * connection is cut, PgBouncer (1.18) takes the first answer for the last and passes the backend on. The second
   * answer then goes to another client, which is one answer behind from then on.
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
   * Without an answer within `timeoutMs` it rejects with RequestTimeout, and the connection is cut: a slow server cannot be told from
   * a broken network. Otherwise it rejects with the server's error, with NeverSent, or with LinkClosed if there will be no answer.
   */
  query(text: string, parameters: readonly Parameter[] = [], timeoutMs: number = Infinity): Promise<readonly Row[]> {
    if (this.#isEnding || this.#death !== null) {
      return Promise.reject(this.#neverSent());
    }
    const answer = new Promise<readonly Row[]>((resolve, reject) => {
      const statement: Statement = {
        timeoutMs,
        dueAtMs: monotonicNowMs() + timeoutMs,
        resolve,
        reject,
        isSent: false,
        isSettled: false,
        previous: null,
        next: null,
      };
      this.#unanswered.add(statement);
      if (this.#keepsProcess && this.#unanswered.size === 1) {
        this.#wire?.socket.ref();
      }
      this.#due.by(statement.dueAtMs);
      const sent = this.#texts.get(text) ?? this.#learn(text);
      if (this.#isPipelined) {
        this.#send(statement, sent, parameters);
        return;
      }
      this.#waiting += 1;
      void this.#queue.then(() => {
        this.#waiting -= 1;
        if (!statement.isSettled) {
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
    const query = inOneTrip(this.#sql.unsafe(text, parameters as Parameter[], { prepare: this.#options.prepare }));
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
    if (!this.#unanswered.remove(statement)) {
      return false;
    }
    statement.isSettled = true;
    if (this.#keepsProcess && this.#unanswered.size === 0) {
      this.#wire?.socket.unref();
    }
    return true;
  }

  #endThoseDue(): void {
    const nowMs = monotonicNowMs();
    let nextMs = Infinity;
    let isSilent = false;
    for (const statement of this.#unanswered) {
      if (statement.dueAtMs > nowMs) {
        nextMs = Math.min(nextMs, statement.dueAtMs);
      } else if (this.#settle(statement)) {
        isSilent = true;
        statement.reject(new RequestTimeout(`no answer within ${Math.round(statement.timeoutMs)} ms`));
      }
    }
    if (isSilent) {
      this.destroy();
    } else if (nextMs !== Infinity) {
      this.#due.by(nextMs);
    }
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
    this.#death = death;
    this.#due.stop();
    this.#dialing.abort(death);
    this.#wire?.cut();
    for (const statement of this.#unanswered) {
      this.#settle(statement);
      statement.reject(statement.isSent ? death : this.#neverSent());
    }
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
    // The reason for the cut says more than the cut itself.
    return isServers ? error : this.#death;
  }

  /** Called once: postgres.js reconnects only when it is told that its socket closed. */
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

/**
 * A client that ignores the environment. PGTARGETSESSIONATTRS is the only variable that no option can switch off:
 * postgres.js throws for libpq's "any", and refuses a primary for "standby". But it accepts options that it has already
 * parsed as they are.
 */
function clientOf(options: object): postgres.Sql {
  const parsed = postgres({ ...options, target_session_attrs: "primary" }).options;
  return postgres({ ...parsed, target_session_attrs: null } as unknown as postgres.Options<Record<string, never>>);
}

/** Called before the driver starts: nobody could catch an error while it logs in. */
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
