// Time that passes only when a test says so. The library captures its timers and clocks when src/runtime/clock.ts is loaded: those of
// this clock stand in the global object for exactly that moment (setup.ts).

const { setImmediate } = globalThis;

/** After everything that follows from what has happened: all microtasks, and what was given to the event loop meanwhile. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Pending {
  readonly atMs: number;
  readonly callback: () => void;
  /** Whether the process would go on for it. */
  keepsAlive: boolean;
}

const START_MS = 1_000_000;
const START_WALL_MS = Date.UTC(2030, 0, 1);

class ManualClock {
  #monotonicMs = START_MS;
  #wallMs = START_WALL_MS;
  readonly #pending = new Set<Pending>();
  readonly #intervals = new Set<Pending>();
  /** How many timers have fired. */
  fired = 0;

  get monotonicMs(): number {
    return this.#monotonicMs;
  }

  get wallMs(): number {
    return this.#wallMs;
  }

  /** How many timers are waiting. */
  get timers(): number {
    return this.#pending.size;
  }

  get intervals(): number {
    return this.#intervals.size;
  }

  /** Those for which the process would go on. */
  get keepingAlive(): number {
    return [...this.#pending, ...this.#intervals].filter(({ keepsAlive }) => keepsAlive).length;
  }

  /** When the next timer fires, from now on; null when none is waiting. */
  get nextInMs(): number | null {
    const first = this.#first(Number.POSITIVE_INFINITY);
    return first === null ? null : first.atMs - this.#monotonicMs;
  }

  /** Lets time pass. Each timer fires at its moment, and whatever follows from it has happened before the next one does. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    await settle();
    for (let first = this.#first(untilMs); first !== null; first = this.#first(untilMs)) {
      this.#move(Math.max(0, first.atMs - this.#monotonicMs));
      this.#pending.delete(first);
      this.fired += 1;
      first.callback();
      await settle();
    }
    this.#move(untilMs - this.#monotonicMs);
  }

  /** Both clocks go on and nothing runs: a blocked event loop. Its timers fire with the next `pass`. */
  block(ms: number): void {
    this.#move(ms);
  }

  /** The machine sleeps: the wall clock goes on, the monotonic one stands still. */
  suspend(ms: number): void {
    this.#wallMs += ms;
  }

  /** Somebody sets the wall clock. */
  setWall(byMs: number): void {
    this.#wallMs += byMs;
  }

  reset(): void {
    this.#pending.clear();
    this.#intervals.clear();
    this.#monotonicMs = START_MS;
    this.#wallMs = START_WALL_MS;
    this.fired = 0;
  }

  readonly setTimeout = (callback: () => void, ms: number): NodeJS.Timeout => {
    const pending: Pending = { atMs: this.#monotonicMs + ms, callback, keepsAlive: true };
    this.#pending.add(pending);
    const unref = (): void => {
      pending.keepsAlive = false;
    };
    return { pending, unref } as unknown as NodeJS.Timeout;
  };

  /** For what keeps the process alive: they never fire. */
  readonly setInterval = (callback: () => void): NodeJS.Timeout => {
    const interval: Pending = { atMs: Number.POSITIVE_INFINITY, callback, keepsAlive: true };
    this.#intervals.add(interval);
    const set = (keepsAlive: boolean) => (): void => {
      interval.keepsAlive = keepsAlive;
    };
    return { interval, ref: set(true), unref: set(false) } as unknown as NodeJS.Timeout;
  };

  readonly clearInterval = (handle: NodeJS.Timeout): void => {
    this.#intervals.delete((handle as unknown as { readonly interval: Pending }).interval);
  };

  readonly clearTimeout = (handle: NodeJS.Timeout): void => {
    this.#pending.delete((handle as unknown as { readonly pending: Pending }).pending);
  };

  /** The earliest until then; of several at one moment the one that was made first. */
  #first(untilMs: number): Pending | null {
    let first: Pending | null = null;
    for (const pending of this.#pending) {
      if (pending.atMs <= untilMs && (first === null || pending.atMs < first.atMs)) {
        first = pending;
      }
    }
    return first;
  }

  #move(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}

export const clock: ManualClock = new ManualClock();

/** Loads what captures the clock while the manual one stands in for it. */
export async function loadUnder(load: () => Promise<unknown>): Promise<void> {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    Date: globalThis.Date,
  };
  const realNow = performance.now;
  Object.assign(globalThis, {
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    setInterval: clock.setInterval,
    clearInterval: clock.clearInterval,
    Date: { now: () => clock.wallMs },
  });
  performance.now = () => clock.monotonicMs;
  try {
    await load();
  } finally {
    Object.assign(globalThis, real);
    performance.now = realNow;
  }
}
