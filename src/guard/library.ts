import type { Guard, GuardStatements } from "./guard.js";

/** Recognises the databases and transactions of one library by their shape, without loading the library. Null: not its own. */
export type Recognise = (value: unknown) => Recognised | Unfit | null;

/** What a recognised value can be used for. */
export interface Recognised {
  /** Opens a transaction with the library's own method. Null: the value already is a transaction. */
  readonly transact: Transact | null;
  /** Guards what may be an open transaction. Null: it cannot be one (a pool, for example). */
  readonly enter: Enter | null;
  /** Asks in what may be an open transaction. Null: it cannot be one. */
  readonly ask: Ask | null;
  /**
   * Whether the library goes on on a new connection when this one dies, outside of the transaction and unguarded, without
   * a word to anybody. Only postgres.js does.
   */
  readonly reconnects?: () => boolean | Promise<boolean>;
  /** The client or pool whose connection a transaction takes, where it can be told. */
  readonly client?: object | undefined;
}

/** Of this library, but for another kind of server. `why` says what it is. */
export interface Unfit {
  readonly why: string;
}

/** Opens a transaction, guards it, and runs the body with the library's own `tx`. */
export type Transact = (guard: Guard, body: (tx: unknown) => unknown, options: unknown) => PromiseLike<unknown>;

/** Sends a guard into a transaction, with a statement that fails if no transaction is open. */
export type Enter = (statements: GuardStatements) => PromiseLike<unknown>;

/** Sends a statement that has an answer into a transaction. Resolves to the answer in the form that the library gives it. */
export type Ask = (question: Question) => PromiseLike<unknown>;

export interface Question {
  /** Fails (25P01) if no transaction is open, or only an implicit one around several statements. Leaves nothing behind. */
  readonly proof: string;
  /** Leaves in the transaction what `statement` looks for. Outside of one, it is gone when `statement` comes. */
  readonly mark: string;
  readonly statement: string;
}

/** Sends a statement without parameters, at once. */
export type Run = (text: string) => PromiseLike<unknown>;

/** In one message of the simple protocol: one round trip, and nothing is done if no transaction is open. */
export function inOne(run: Run): Enter {
  return ({ proof, guard }) => run(`${proof}; ${guard}`);
}

/** In two messages, for libraries that accept one statement at a time. Both are sent before the first answer if possible. */
export function inTwo(run: Run): Enter {
  return async ({ guard, check }) => {
    const answers = await Promise.allSettled([run(guard), run(check)]);
    for (const answer of answers) {
      if (answer.status === "rejected") throw answer.reason;
    }
  };
}

/** As `inOne`, for libraries that give the answers of all statements in a message. */
export function askInOne(run: Run): Ask {
  return ({ proof, mark, statement }) => run(`${proof}; ${mark}; ${statement}`);
}

/**
 * As `inTwo`, for libraries that give the answer of one statement at a time. The second is sent after the first answer: node-postgres
 * warns of a statement that is sent while another runs.
 */
export function askInTwo(run: Run): Ask {
  return async ({ mark, statement }) => {
    await run(mark);
    return await run(statement);
  };
}

/** The properties of an object or function, each of unknown type. Null for any other value. */
export function membersOf(value: unknown): Readonly<Record<PropertyKey, unknown>> | null {
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  return isObject ? (value as Readonly<Record<PropertyKey, unknown>>) : null;
}

/** Whether it has methods of all these names. */
export function hasMethods(members: Readonly<Record<PropertyKey, unknown>>, ...names: readonly string[]): boolean {
  return names.every((name) => typeof members[name] === "function");
}
