import { UnavailableError } from "../errors/errors.js";
import { membersOf } from "./library.js";

/** The part of postgres.js's `Query` that decides on which connection it is sent. */
interface Query extends Promise<unknown> {
  handler: ((query: Query) => void) & { debug?: unknown };
  reject(error: unknown): void;
}

type Callable = (...args: readonly unknown[]) => unknown;

const { setImmediate } = globalThis;

/** Uses the timer captured at load time, which a user's fake timers cannot stop. */
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const never = new Promise<never>(() => {});

/** Marks what a scope has fenced, over all copies of this package. */
const FENCED: unique symbol = Symbol.for("leasehold.fenced");

/** Whether a scope protects this transaction, so that it may be guarded once more. */
export function isFenced(tx: unknown): boolean {
  return membersOf(tx)?.[FENCED] === true;
}

/**
 * Confines a transaction of postgres.js to the connection on which it was opened.
 *
 * When that connection dies, `begin` rejects but the body goes on. Its next query is sent on the replacement
 * connection, outside of any transaction, unguarded (porsager/postgres #1216, #1155, as of 3.4.9). So is the `commit`
 * or `rollback` at the end of the body, perhaps into the transaction of another caller. So after the loss this class
 * refuses the body's queries, and hides the end of the body from postgres.js, which has already given up.
 */
export class PostgresJsScope {
  #endedBy: UnavailableError | null = null;
  readonly #onEnd: ((error: unknown) => void)[] = [];
  readonly #unanswered = new Set<Query>();

  /** Runs `begin` with a callback for the library. Always waits until `work` has ended, as the other libraries do. */
  async run<Tx>(
    begin: (callback: (tx: Tx) => Promise<unknown>) => PromiseLike<unknown>,
    work: (tx: Tx) => Promise<unknown>,
  ): Promise<unknown> {
    let running: Promise<unknown> | null = null;
    try {
      return await begin((tx) => {
        running = work(tx);
        return this.#untilEnded(running);
      });
    } catch (error) {
      this.#end(error);
      // Once `begin` has given up, what is left was sent between the connection's error and its end. It is never answered.
      for (const query of this.#unanswered) query.reject(error);
      await (running as Promise<unknown> | null)?.catch(() => undefined);
      throw error;
    } finally {
      this.#end();
    }
  }

  /** The same transaction, but its queries are refused once it has ended. */
  fence<Tx>(sql: Tx): Tx {
    const query = (made: unknown) => this.#fenceQuery(made);
    return new Proxy(sql as Tx & Callable, {
      apply: (target, self, args) => query(Reflect.apply(target, self, args)),
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        switch (name) {
          case FENCED:
            return true;
          case "unsafe":
          case "file":
            return (...args: unknown[]) => query(Reflect.apply(value as Callable, target, args));
          case "savepoint":
            return (...args: unknown[]) => this.#savepoint(value as Callable, args);
          default:
            return value;
        }
      },
    });
  }

  /** `savepoint(body)` or `savepoint(name, body)`. postgres.js would never settle it if the connection is lost. */
  #savepoint(savepoint: Callable, args: readonly unknown[]): Promise<unknown> {
    if (this.#endedBy !== null) return Promise.reject(this.#endedBy);
    const fenced = args.map((arg) =>
      typeof arg === "function" ? (sql: Callable) => this.#untilEnded(Promise.resolve(arg(this.fence(sql)))) : arg,
    );
    const ended = new Promise<never>((_, reject) => this.#onEnd.push(reject));
    return Promise.race([savepoint(...fenced), ended]);
  }

  /** Settles as the body does. Never settles after a loss: what postgres.js sent then would not reach this transaction. */
  async #untilEnded(running: Promise<unknown>): Promise<unknown> {
    try {
      const value = await running;
      return this.#endedBy === null ? value : await never;
    } catch (error) {
      await tick(); // a loss may be noticed only after the error that it causes
      if (this.#endedBy === null) throw error;
      return await never;
    }
  }

  #fenceQuery(made: unknown): unknown {
    const query = membersOf(made) as unknown as Query | null;
    if (typeof query?.handler !== "function") return made; // an identifier, a helper
    const { handler } = query;
    const send = (sent: Query): void => {
      if (this.#endedBy !== null) {
        sent.catch(() => undefined); // as in postgres.js, a query that nobody awaits must not end the process
        sent.reject(this.#endedBy);
        return;
      }
      this.#unanswered.add(sent);
      handler(sent);
      const answered = () => this.#unanswered.delete(sent);
      sent.then(answered, (error: unknown) => {
        answered();
        if (isLoss(error)) this.#end(error);
      });
    };
    query.handler = Object.assign(send, { debug: handler.debug });
    return made;
  }

  #end(cause?: unknown): void {
    if (this.#endedBy !== null) return;
    this.#endedBy = new UnavailableError({
      outcome: "not-sent",
      message:
        "This transaction has ended, or its connection was lost: nothing more was sent in it, and unless it was committed before, nothing of it is kept.",
      ...(cause === undefined ? {} : { cause }),
    });
    for (const reject of this.#onEnd) reject(this.#endedBy);
  }
}

/** Whether the connection is gone, or the server is about to close it. */
function isLoss(error: unknown): boolean {
  const members = membersOf(error);
  const { severity, code } = members ?? {};
  return (
    severity === "FATAL" ||
    severity === "PANIC" ||
    /^(CONNECTION_|E[A-Z]+$|ERR_(SSL|TLS|STREAM|SOCKET)_)/.test(String(code))
  );
}
