// One worker process: moves money from one account to another, again and again, each time under the locks of both.
import { setTimeout as delay } from "node:timers/promises";
import { createLocker, LeaseholdError, type Lock } from "../../src/index.js";
import { emit, serve } from "../../test/support/worker.js";
import { Bank, ConnectionLost, keys, Refused } from "./bank.js";

export interface WorkerArgs {
  readonly url: string;
  readonly name: string;
  readonly ttlMs: number;
  readonly takeoverDelayMs: number;
}

/** A place in a transfer where a worker can be asked to stand still, for something to happen to it there. */
export type Place = "before writing" | "halfway";

/** The event `paused`. */
export interface Paused {
  readonly source: string;
  readonly target: string;
  readonly amount: bigint;
  readonly locks: readonly { readonly key: string; readonly fence: bigint }[];
}

/** The event `resumed`: what became of the transfer after the pause. */
export interface Resumed {
  readonly outcome: "written" | "refused";
  /** What the locks said right before the write, which was tried whatever they said. */
  readonly held: boolean;
  readonly loss: string | null;
  /** What Postgres said to it. */
  readonly refusal: { readonly code: string; readonly message: string; readonly detail: string } | null;
}

serve(async ({ url, name, ttlMs, takeoverDelayMs }: WorkerArgs) => {
  const bank = new Bank(url, name);
  const locker = createLocker({ url, owner: name, ttlMs, takeoverDelayMs, waitMs: 30_000 });
  await locker.ready();

  let isStopping = false;
  let running: Promise<void> | undefined;
  let pauseAt: Place | undefined;
  let paused: readonly Lock[] | undefined;
  let resume: (() => void) | undefined;
  /** Writes that were refused although the lock said that it is held: there must be none. */
  let wronglyRefused = 0;

  async function run(): Promise<void> {
    while (!isStopping) {
      const source = pick(keys);
      const target = pick(keys.filter((key) => key !== source));
      // every worker takes its two locks in the same order, or two of them could wait for each other
      const [first, second] = source < target ? [source, target] : [target, source];
      try {
        await locker.withLock(first, (outer) =>
          locker.withLock(second, (inner) => (source === first ? transfer(outer, inner) : transfer(inner, outer))),
        );
      } catch (error) {
        if (!isPassing(error)) throw error;
        await delay(20);
      }
    }
  }

  async function transfer(source: Lock, target: Lock): Promise<void> {
    const locks = [source, target];
    const isHeld = () => locks.every((lock) => lock.held);
    let isPaused = false;

    const pause = async (place: Place) => {
      if (pauseAt !== place) return;
      pauseAt = undefined;
      isPaused = true;
      paused = locks;
      const data: Paused = { source: source.key, target: target.key, amount, locks: locks.map(nameAndFence) };
      emit("paused", data);
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
    };

    const sourceBalance = await bank.readBalance(source);
    const targetBalance = await bank.readBalance(target);
    const wanted = BigInt(1 + Math.floor(Math.random() * 100));
    const amount = wanted < sourceBalance ? wanted : sourceBalance;
    await delay(1 + Math.random() * 8); // the work that the locks are for
    await pause("before writing");
    // No assertHeld() here, on purpose. It would stop this one, but not the worker that freezes right after it: the guard does.
    const held = isHeld();
    const loss = locks.map(({ signal }) => signal.reason as LeaseholdError | undefined).find(Boolean)?.message ?? null;
    try {
      await bank.move({
        source: { lock: source, balance: sourceBalance },
        target: { lock: target, balance: targetBalance },
        amount,
        halfway: () => pause("halfway"),
      });
      if (isPaused) emit("resumed", { outcome: "written", held, loss, refusal: null } satisfies Resumed);
    } catch (error) {
      if (error instanceof Refused) {
        if (isHeld()) wronglyRefused += 1;
        const { code, message, detail } = error;
        if (isPaused)
          emit("resumed", { outcome: "refused", held, loss, refusal: { code, message, detail } } satisfies Resumed);
      }
      throw error;
    }
  }

  return {
    run: () => {
      // what is thrown here ends this process, and the demo with it
      running = run();
    },
    pause: (place: Place) => {
      pauseAt = place;
    },
    /** Whether the transfer that stands still holds its locks. */
    isHeld: () => paused?.every((lock) => lock.held) ?? false,
    resume: () => resume?.(),
    stop: async () => {
      isStopping = true;
      await running;
      await locker.close();
      await bank.close();
      return { wronglyRefused };
    },
  };
});

/** What a worker lives with: the next transfer may fare better. Anything else is a bug, and ends it. */
function isPassing(error: unknown): boolean {
  if (error instanceof Refused || error instanceof ConnectionLost) return true;
  if (error instanceof LeaseholdError) return ["unavailable", "lease-lost", "not-held"].includes(error.code);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(57P0[123]|CONNECT|E[A-Z]+$)/.test(code); // the connection to Postgres
}

function nameAndFence({ key, fence }: Lock): Paused["locks"][number] {
  return { key, fence };
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T; // none is picked from an empty list here
}
