// Makes postgres.js send a statement in one round trip, and keeps fake timers from stopping it. Both go beyond its interface.

/**
 * Makes postgres.js send a statement together with its parameters. By default it first asks the server for their types,
 * to decide how to write them: an extra round trip for each text that is new to the connection, and for each unprepared
 * statement. Our parameters are already text.
 *
 * `describeFirst` is used by its connection (3.4.9) but is not part of its API. A version without it asks for the types
 * again, which is slower but correct.
 */
export function inOneTrip<Query extends object>(query: Query): Query {
  return Object.defineProperty(query, "describeFirst", always);
}

/** One for all: with accessors of its own, each query would be an object of a shape of its own, which V8 is slow with. */
const always: PropertyDescriptor = { get: () => false, set: () => undefined };

// postgres.js reads its timers from the global object whenever it needs one: it connects with setTimeout and writes
// with setImmediate. A test that installs fake timers while a lock is held would stop heartbeats and renewals. So the
// timers from when this module was loaded are put back while postgres.js runs, and only then: while it handles an event
// of its socket, and in the microtask in which it starts a statement. Without fake timers nothing is ever replaced.
// Whatever slips through costs one request timeout and is then retried.

type TimerName = "setTimeout" | "clearTimeout" | "setImmediate" | "clearImmediate";
// biome-ignore lint/suspicious/noExplicitAny: whatever a callback takes
type Callback = (...args: any[]) => void;

const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;

/** Their callbacks also run under the real timers. */
const real: Readonly<Record<TimerName, Callback>> = {
  setTimeout: (callback: Callback, ms?: number, ...args: unknown[]) =>
    setTimeout(() => withRealTimers(() => callback(...args)), ms),
  setImmediate: (callback: Callback, ...args: unknown[]) => setImmediate(() => withRealTimers(() => callback(...args))),
  clearTimeout,
  clearImmediate,
};

export function withRealTimers<T>(work: () => T): T {
  const restore = putBack();
  try {
    return work();
  } finally {
    restore();
  }
}

/** Starts a query, in one trip. That takes one microtask, and the real timers are put back for exactly that one. */
export function execute(query: { execute(): unknown }): void {
  Object.defineProperty(query, "describeFirst", always); // as inOneTrip does
  if (wanting === 0 && globalThis.setImmediate === setImmediate && globalThis.setTimeout === setTimeout) {
    query.execute();
    return;
  }
  let restore = (): void => undefined;
  void Promise.resolve().then(() => {
    restore = putBack();
  });
  query.execute();
  void Promise.resolve().then(() => restore());
}

/** Puts the real timers back for the next microtasks. Use it only if no others can be among them. */
export function realTimersFor(microtasks: number): void {
  if (wanting > 0 || areFaked()) {
    const restore = putBack();
    void (async () => {
      for (let passed = 0; passed < microtasks; passed += 1) {
        await null;
      }
      restore();
    })();
  }
}

function areFaked(): boolean {
  return globalThis.setImmediate !== setImmediate || globalThis.setTimeout !== setTimeout;
}

let found: Readonly<Record<TimerName, unknown>> | null = null;
/** How many callers want the real timers now. */
let wanting = 0;

function putBack(): () => void {
  if (wanting === 0 && !areFaked()) {
    return () => undefined;
  }
  wanting += 1;
  if (wanting === 1) {
    found = {
      setTimeout: globalThis.setTimeout,
      clearTimeout: globalThis.clearTimeout,
      setImmediate: globalThis.setImmediate,
      clearImmediate: globalThis.clearImmediate,
    };
    Object.assign(globalThis, real);
  }
  return () => {
    wanting -= 1;
    if (wanting > 0) {
      return;
    }
    for (const name of Object.keys(real) as TimerName[]) {
      // unless it has been replaced meanwhile
      if ((globalThis[name] as Callback) === real[name]) {
        Object.assign(globalThis, { [name]: found?.[name] });
      }
    }
  };
}
