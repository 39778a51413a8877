// A process that holds locks, for tests to kill and to freeze: `openLockWorker` of lock-process.ts starts it.
import { existsSync } from "node:fs";
import postgres from "postgres";
import type {
  AcquireOptions,
  AdoptOptions,
  DetachedLock,
  Lock,
  LockerOptions,
  LockSet,
  TryOptions,
} from "../../src/index.js";
import { aroundPooler } from "./pooler.js";
import { emit, serve } from "./worker.js";

export interface LockWorkerArgs {
  readonly url: string;
  readonly options?: LockerOptions;
  /** Further lockers, by the name that a command gives as `locker`. */
  readonly lockers?: Readonly<Record<string, LockerOptions>>;
}

/** What a command is about. */
export interface On {
  readonly key: string;
  /** One of `lockers`; else the locker made with `options`. */
  readonly locker?: string;
}

export interface Granted {
  readonly key: string;
  readonly fence: bigint;
}

export interface Failure {
  readonly name: string;
  readonly reason: string | undefined;
}

/** A lock as its process sees it, all read in one turn of the event loop. */
export interface LockState {
  readonly held: boolean;
  readonly remainingMs: number;
  /** What assertHeld() throws. */
  readonly refusal: Failure | null;
  /** The reason with which the signal has fired. */
  readonly signal: string | null;
}

// The wall clock can be moved as a suspended machine moves it; set up before the library captures it.
let skippedMs = 0;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  static override now(): number {
    return RealDate.now() + skippedMs;
  }
} as DateConstructor;
const { createLocker } = await import("../../src/index.js");

serve<LockWorkerArgs>(({ url, options, lockers = {} }) => {
  const open = (own: LockerOptions) =>
    createLocker({
      url,
      ...aroundPooler(url),
      waitMs: 30_000,
      onLost: (lock, error) => emit("lost", { key: lock.key, reason: error.reason }),
      onError: () => {},
      ...own,
    });
  const main = open(options ?? {});
  const others = new Map(Object.entries(lockers).map(([name, own]) => [name, open(own)]));
  const locks = new Map<string, Lock>();
  const sets: LockSet[] = [];
  const sql = postgres(url, { max: 1, onnotice: () => {} });

  const lockerOf = ({ locker }: On) => (locker === undefined ? main : (others.get(locker) ?? main));
  const lockOf = ({ key }: On): Lock => {
    const lock = locks.get(key);
    if (lock === undefined) throw new Error(`this worker never had ${key}`);
    return lock;
  };
  const keep = (lock: Lock): Granted => {
    locks.set(lock.key, lock);
    lock.signal.addEventListener("abort", () => emit("signal", { key: lock.key, reason: lock.signal.reason.reason }));
    return { key: lock.key, fence: lock.fence };
  };
  const look = (lock: Lock): LockState => ({
    held: lock.held,
    remainingMs: lock.remainingMs,
    refusal: thrownBy(() => lock.assertHeld()),
    signal: lock.signal.aborted ? lock.signal.reason.reason : null,
  });

  return {
    acquire: async (args: On & { options?: AcquireOptions }) =>
      keep(await lockerOf(args).acquire(args.key, args.options)),
    tryAcquire: async (args: On & { options?: TryOptions }) => {
      const lock = await lockerOf(args).tryAcquire(args.key, args.options);
      return lock && keep(lock);
    },
    /** Begins to wait for each; the event `granted` tells. */
    wait: (args: { keys: readonly string[]; options?: AcquireOptions }) => {
      for (const key of args.keys) {
        main.acquire(key, args.options).then(
          (lock) => emit("granted", keep(lock)),
          (error) => emit("refused", { key, name: error.name }),
        );
      }
    },
    /** Begins to wait for a set; the event `set` tells when it is held. */
    waitForSet: ({ keys, options }: { keys: readonly string[]; options?: AcquireOptions }) => {
      main.acquireAll(keys, options).then(
        (all) => {
          sets.push(all);
          emit("set", { held: all.held, fences: all.locks.map(({ fence }) => fence) });
        },
        (error) => emit("refused", { keys, name: error.name }),
      );
    },
    releaseSet: async () => sets.pop()?.release(),
    state: (args: On) => look(lockOf(args)),
    renew: async (args: On & { ttlMs?: number }) => lockOf(args).renew(args.ttlMs),
    release: async (args: On) => lockOf(args).release(),
    detach: async (args: On) => lockOf(args).detach(),
    adopt: async (args: { detached: DetachedLock; options?: AdoptOptions; locker?: string }) =>
      keep(await lockerOf({ key: args.detached.key, ...args }).adopt(args.detached, args.options)),
    /**
     * What a process does that goes on after its lock is gone: looks, renews, releases, and writes with its fence all the
     * same. The look is the first thing, before any timer of its own could run.
     */
    goOn: async (args: On) => {
      const lock = lockOf(args);
      const state = look(lock);
      const renewal = await failureOf(lock.renew());
      const release = await failureOf(lock.release());
      const written = await write(args.key, lock.fence);
      return { state, renewal, release, written };
    },
    /** A write that compares fences: how many rows took it. */
    write: (args: On) => write(args.key, lockOf(args).fence),
    /** Blocks the event loop until the file is there, for `ms` at least; then looks, in the same turn. */
    block: async (args: On & { ms: number; untilFile: string }) => {
      emit("blocking");
      await new Promise(setImmediate);
      const start = performance.now();
      while (performance.now() - start < args.ms || !existsSync(args.untilFile)) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
      return look(lockOf(args));
    },
    /** The wall clock goes on by so much, the monotonic one does not: a machine that was suspended. Looks in the same turn. */
    suspend: (args: On & { ms: number }) => {
      skippedMs += args.ms;
      return look(lockOf(args));
    },
    close: async () => {
      await Promise.all([main, ...others.values()].map((locker) => locker.close()));
      await sql.end();
    },
  };

  async function write(key: string, fence: bigint): Promise<number> {
    const result = await sql`
      update protected set fence = ${String(fence)}::bigint, writes = writes + 1 where key = ${key} and fence <= ${String(fence)}::bigint`;
    return result.count;
  }
});

function thrownBy(call: () => void): Failure | null {
  try {
    call();
    return null;
  } catch (error) {
    return toFailure(error);
  }
}

function failureOf(promise: Promise<unknown>): Promise<Failure | null> {
  return promise.then(
    () => null,
    (error) => toFailure(error),
  );
}

function toFailure(error: unknown): Failure {
  const { name, reason } = error as { name: string; reason?: string };
  return { name, reason };
}
