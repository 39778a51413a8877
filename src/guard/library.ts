import type { Guard, GuardStatements } from "./guard.js";

/** Knows one library's databases and transactions by their shape: none of them is loaded for it. Null: not of this library. */
export type Recognise = (value: unknown) => Recognised | Unfit | null;

/** What a value of a known library can be used for. */
export interface Recognised {
  /** Opens a transaction by the library's own means. Null: it cannot, for it is one already. */
  readonly transact: Transact | null;
  /** Guards what may be an open transaction. Null: it cannot be one, for it is a pool, say. */
  readonly enter: Enter | null;
}

/** The library's, but of no use: it talks to another kind of server. `why` is what it is instead. */
export interface Unfit {
  readonly why: string;
}

/** Opens a transaction, guards it, and runs the body with the library's own `tx`. */
export type Transact = (guard: Guard, body: (tx: unknown) => unknown, options: unknown) => PromiseLike<unknown>;

/** Sends a guard into a transaction, with a statement that fails if there is none. */
export type Enter = (statements: GuardStatements) => PromiseLike<unknown>;

/** Sends a text without parameters, at once. */
export type Run = (text: string) => PromiseLike<unknown>;

/** In one message, which the simple protocol takes: one round trip, and nothing is done when there is no transaction. */
export function inOne(run: Run): Enter {
  return ({ proof, guard }) => run(`${proof}; ${guard}`);
}

/** In two, for what takes one statement at a time. Both are sent before the first is answered, if the library does that. */
export function inTwo(run: Run): Enter {
  return async ({ guard, check }) => {
    const answers = await Promise.allSettled([run(guard), run(check)]);
    for (const answer of answers) {
      if (answer.status === "rejected") throw answer.reason;
    }
  };
}

/** The properties of an object or a function, to be looked at one by one. */
export function membersOf(value: unknown): Readonly<Record<PropertyKey, unknown>> | null {
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  return isObject ? (value as Readonly<Record<PropertyKey, unknown>>) : null;
}

/** Whether all of these are methods of it. */
export function hasMethods(members: Readonly<Record<PropertyKey, unknown>>, ...names: readonly string[]): boolean {
  return names.every((name) => typeof members[name] === "function");
}
