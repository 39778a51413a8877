// What postgres.js needs of us beyond its interface: that it sends a statement in one trip, and that no fake timers stop it.

/**
 * Lets postgres.js send a statement together with its parameters. By itself it first asks the server for their types, to
 * choose how to write each: a round trip more for a text that is new to the connection, and for each call of one that is not
 * prepared. Ours are text already.
 *
 * `describeFirst` is what its connection (3.4.9) goes by, and no part of its API: a version that does not know it asks again,
 * which is slower and no less right.
 */
export function inOneTrip<Query extends object>(query: Query): Query {
  return Object.defineProperty(query, "describeFirst", { get: () => false, set: () => undefined });
}

// postgres.js takes its timers from the global object whenever it needs one: it connects by setTimeout and writes by
// setImmediate. A test that installs fake timers while a lock is held would thereby stop heartbeats and renewals. So the timers
// that were in place when this module was loaded are put back for exactly those moments in which postgres.js runs, and for nobody else:
// while it handles an event of its socket, and in the microtask in which it begins with a statement. Without fake timers,
// nothing is ever replaced. What slips through costs one request timeout, and is then tried again.

type TimerName = "setTimeout" | "clearTimeout" | "setImmediate" | "clearImmediate";
// biome-ignore lint/suspicious/noExplicitAny: whatever a callback takes
type Callback = (...args: any[]) => void;

const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;

/** What these start runs under the real timers, too. */
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

/** Begins with a query, which asks for one microtask, and puts the real timers back for exactly that one. */
export function execute(query: { execute(): unknown }): void {
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

/** For the next microtasks. Only where nobody else's can be among them. */
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
/** How many want the real timers now. */
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
      // unless somebody has replaced it meanwhile
      if ((globalThis[name] as Callback) === real[name]) {
        Object.assign(globalThis, { [name]: found?.[name] });
      }
    }
  };
}
