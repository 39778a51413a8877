// One contender in one process or several, asked as one.
import { startWorker, type WorkerProcess } from "../test/support/child.js";
import type { Entrant } from "./entrants.js";
import { processorTimeUs } from "./processor-time.js";
import type { Grant, Keys, WindowArgs, WindowResult } from "./worker.js";

export interface Window {
  /** Cycles a second. */
  readonly rate: number;
  readonly cycles: number;
  /** Processor time for each cycle, in microseconds. */
  readonly clientUs: number;
  readonly serverUs: number;
}

/** A window may take this much longer than it should: after its end each worker still finishes what it waits for. */
const GRACE_MS = 120_000;

export class Crew implements AsyncDisposable {
  readonly entrant: Entrant;
  readonly workers: readonly WorkerProcess[];

  private constructor(entrant: Entrant, workers: readonly WorkerProcess[]) {
    this.entrant = entrant;
    this.workers = workers;
  }

  static async start(entrant: Entrant, processes = 1): Promise<Crew> {
    const starts = Array.from({ length: processes }, () => startWorker("bench/worker.ts", entrant.spec));
    const results = await Promise.allSettled(starts);
    const workers = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await Promise.all(workers.map((worker) => worker.dispose()));
      throw failed.reason;
    }
    return new Crew(entrant, workers);
  }

  get name(): string {
    return this.entrant.name;
  }

  /** So many cycles in flight over all processes, for `ms`. */
  window(inFlight: number, ms: number, keys: "own" | Exclude<Keys, { kind: "own" }> = "own"): Promise<Window> {
    const each = this.#share(inFlight);
    return this.#measure((worker, index) => {
      const args: WindowArgs = {
        inFlight: each(index).count,
        ms,
        keys: keys === "own" ? { kind: "own", first: each(index).first } : keys,
      };
      return worker.request<WindowResult>("window", args, { timeoutMs: ms + GRACE_MS });
    });
  }

  /** Tries of a key that is held, one after the other. */
  tries(key: string, ms: number): Promise<Window> {
    return this.#measure((worker) => worker.request<WindowResult>("tries", { key, ms }, { timeoutMs: ms + GRACE_MS }));
  }

  /** All grants of one key in the window, in order. `holdMs`: how long each holds it; 0: for a turn of the event loop. */
  async hot(key: string, workers: number, ms: number, holdMs = 0): Promise<Grant[]> {
    const each = this.#share(workers);
    const grants = await Promise.all(
      this.workers.map((worker, index) => {
        const { count, first } = each(index);
        const args = { key, workers: count, first, ms, holdMs };
        return worker.request<Grant[]>("hot", args, { timeoutMs: ms + GRACE_MS });
      }),
    );
    return grants.flat().sort((a, b) => a.grantedAt - b.grantedAt);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.workers.map(async (worker) => {
        await worker.request("end", {}, { timeoutMs: 5_000 }).catch(() => undefined);
        await worker.dispose();
      }),
    );
  }

  #share(total: number): (index: number) => { count: number; first: number } {
    const processes = this.workers.length;
    const upTo = (index: number) => Math.floor((total * index) / processes);
    return (index) => ({ count: upTo(index + 1) - upTo(index), first: upTo(index) });
  }

  async #measure(run: (worker: WorkerProcess, index: number) => Promise<WindowResult>): Promise<Window> {
    const before = processorTimeUs(this.entrant.serverPids);
    const results = await Promise.all(this.workers.map(run));
    const serverUs = processorTimeUs(this.entrant.serverPids) - before;
    const cycles = results.reduce((sum, result) => sum + result.cycles, 0);
    const clientUs = results.reduce((sum, result) => sum + result.processorUs, 0);
    const ms = Math.max(...results.map((result) => result.ms));
    return { rate: (cycles * 1_000) / ms, cycles, clientUs: clientUs / cycles, serverUs: serverUs / cycles };
  }
}

/** Ends all of them, also when one does not start. */
export async function withCrews<T>(
  entrants: readonly Entrant[],
  processes: number,
  use: (crews: readonly Crew[]) => Promise<T>,
): Promise<T> {
  const starts = await Promise.allSettled(entrants.map((entrant) => Crew.start(entrant, processes)));
  const crews = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  try {
    const failed = starts.find((start) => start.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return await use(crews);
  } finally {
    await Promise.all(crews.map((crew) => crew[Symbol.asyncDispose]()));
  }
}
