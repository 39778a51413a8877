// The process that a contender runs in. Crew (crew.ts) starts it and asks it.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Lock } from "../src/index.js";
import { serve } from "../test/support/worker.js";
import type { ContenderSpec } from "./contenders/contender.js";
import { openContender } from "./contenders/open.js";

/**
 * Which keys the workers of a window take: one each, again and again; all the same; never one twice; or, of so many, any that is no other
 * worker's.
 */
export type Keys =
  | { readonly kind: "one"; readonly key: string }
  | { readonly kind: "own"; readonly first: number }
  | { readonly kind: "fresh"; readonly prefix: string }
  | { readonly kind: "random"; readonly count: number };

export interface WindowArgs {
  readonly inFlight: number;
  readonly ms: number;
  readonly keys: Keys;
}

export interface WindowResult {
  readonly cycles: number;
  readonly ms: number;
  /** This process's. */
  readonly processorUs: number;
}

export interface HotArgs {
  readonly key: string;
  readonly workers: number;
  /** Number of the first worker here, so that those of all processes differ. */
  readonly first: number;
  readonly ms: number;
  readonly holdMs: number;
}

/** Times are of the machine's monotonic clock, the same in all processes, in ms. */
export interface Grant {
  readonly worker: number;
  readonly askedAt: number;
  readonly grantedAt: number;
  /** When it began to release. */
  readonly releasedAt: number;
}

serve<ContenderSpec>(async (spec) => {
  const contender = await openContender(spec);
  const held: unknown[] = [];
  let fresh = 0;

  const cycle = contender.cycle ?? (async (_: number, key: string) => contender.release(await contender.acquire(key)));

  return {
    async window({ inFlight, ms, keys }: WindowArgs): Promise<WindowResult> {
      const keyOf = (worker: number): string => {
        if (keys.kind === "one") return keys.key;
        if (keys.kind === "own") return `bench:${keys.first + worker}`;
        if (keys.kind === "random") {
          // of every so many keys one is this worker's: no two of them meet
          return `row:${worker + inFlight * Math.floor(Math.random() * Math.floor(keys.count / inFlight))}`;
        }
        fresh += 1;
        return `${keys.prefix}:${process.pid}:${fresh}`;
      };
      const before = process.cpuUsage();
      const start = performance.now();
      let cycles = 0;
      const work = async (worker: number): Promise<void> => {
        const own = keys.kind === "own" ? keyOf(worker) : undefined;
        while (performance.now() - start < ms) {
          await cycle(worker, own ?? keyOf(worker));
          cycles += 1;
        }
      };
      await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
      const { user, system } = process.cpuUsage(before);
      return { cycles, ms: performance.now() - start, processorUs: user + system };
    },

    /** So many cycles in all, on so many keys, each in flight once. */
    async cycles({ cycles, inFlight }: { cycles: number; inFlight: number }): Promise<void> {
      let left = cycles;
      const work = async (worker: number): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await cycle(worker, `bench:${worker}`);
        }
      };
      await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
    },

    async hot({ key, workers, first, ms, holdMs }: HotArgs): Promise<Grant[]> {
      const until = now() + ms;
      const grants: Grant[] = [];
      const work = async (worker: number): Promise<void> => {
        while (now() < until) {
          const askedAt = now();
          const lock = await contender.acquire(key);
          const grantedAt = now();
          // What holds it does something, if little: without this turn the same worker could take it again at once.
          await new Promise((resolve) => (holdMs > 0 ? setTimeout(resolve, holdMs) : setImmediate(resolve)));
          const releasedAt = now();
          await contender.release(lock);
          grants.push({ worker, askedAt, grantedAt, releasedAt });
        }
      };
      await Promise.all(Array.from({ length: workers }, (_, worker) => work(first + worker)));
      return grants;
    },

    /** Tries of a key that another process holds: each is refused. */
    async tries({ key, ms }: { key: string; ms: number }): Promise<WindowResult> {
      const before = process.cpuUsage();
      const start = performance.now();
      let cycles = 0;
      while (performance.now() - start < ms) {
        if (contender.cycle) await contender.cycle(0, key);
        else if (await contender.tryOnce?.(key))
          throw new Error(`the try of ${key} was granted, which another process holds`);
        cycles += 1;
      }
      const { user, system } = process.cpuUsage(before);
      return { cycles, ms: performance.now() - start, processorUs: user + system };
    },

    /** Holds so many locks on one key, which it shares. */
    async share({ key, count }: { key: string; count: number }): Promise<void> {
      held.push(...(await Promise.all(Array.from({ length: count }, () => contender.acquire(key)))));
    },

    async hold({ prefix, count }: { prefix: string; count: number }): Promise<void> {
      for (let from = 0; from < count; from += 500) {
        const batch = Array.from({ length: Math.min(500, count - from) }, (_, index) =>
          contender.acquire(`${prefix}:${from + index}`),
        );
        held.push(...(await Promise.all(batch)));
      }
    },

    /** Begins to wait so many times for one key, and does not wait for that. */
    wait({ key, count }: { key: string; count: number }): void {
      for (let number = 0; number < count; number += 1) {
        contender.acquire(key).then(
          (lock) => contender.release(lock),
          () => undefined, // closed
        );
      }
    },

    /** Waits for a key: when it was granted, by the machine's monotonic clock in ms. */
    async waitFor({ key }: { key: string }): Promise<number> {
      const lock = await contender.acquire(key);
      const at = now();
      await contender.release(lock);
      return at;
    },

    /** Waits so many times at once; resolves, when all were served, to when each was, and whether they came in order. */
    async queue({ key, count }: { key: string; count: number }): Promise<{ servedAt: number[]; isInOrder: boolean }> {
      const served: { at: number; fence: bigint }[] = [];
      const waits: Promise<void>[] = [];
      const wait = async (): Promise<void> => {
        const lock = (await contender.acquire(key)) as Lock;
        served.push({ at: now(), fence: lock.fence });
        await lock.release();
      };
      while (waits.length < count) {
        // no more than a statement: thousands take longer to ask than a request may
        for (let number = 0; number < 500 && waits.length < count; number += 1) waits.push(wait());
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(waits);
      return {
        servedAt: served.map(({ at }) => at),
        isInOrder: served.every(({ fence }, index) => index === 0 || fence > (served[index - 1]?.fence ?? 0n)),
      };
    },

    async release(): Promise<void> {
      for (const lock of held.splice(0)) await contender.release(lock);
    },

    /** Bytes of the heap that are in use, after a collection of garbage. */
    heap(): number {
      setFlagsFromString("--expose-gc");
      const collect = runInNewContext("gc") as () => void;
      for (let round = 0; round < 3; round += 1) collect();
      return process.memoryUsage().heapUsed;
    },

    processorUs(): number {
      const { user, system } = process.cpuUsage();
      return user + system;
    },

    async end(): Promise<void> {
      await contender.end();
    },
  };
});

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
