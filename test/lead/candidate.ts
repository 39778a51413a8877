// Processes that lead or stand in line for it (lead-worker.ts), with the types of what they tell.
import type { LeadOptions, LockerOptions } from "../../src/index.js";
import { type Exit, startWorker, type WorkerProcess } from "../support/child.js";
import type { TestDatabase } from "../support/database.js";
import type { Belief, Ended } from "./lead-worker.js";

export class Candidate implements AsyncDisposable {
  readonly worker: WorkerProcess;
  /** Its terms that have ended, and how long the present one has lasted as far as is known. */
  readonly #beliefs = new Map<bigint, Belief>();

  constructor(worker: WorkerProcess) {
    this.worker = worker;
  }

  /** Waits until it leads. */
  async leads(): Promise<Belief> {
    const belief = await this.worker.next<Belief>("leads");
    this.#beliefs.set(belief.fence, belief);
    return belief;
  }

  /** Waits until the body of its term has ended. */
  async ended(): Promise<Ended> {
    const ended = await this.worker.next<Ended>("ended");
    this.#beliefs.set(ended.fence, ended);
    return ended;
  }

  get beliefs(): readonly Belief[] {
    return [...this.#beliefs.values()];
  }

  /** Kills the leader: until now it believed. */
  async kill(): Promise<void> {
    const [belief] = this.beliefs.slice(-1);
    if (belief !== undefined) this.#beliefs.set(belief.fence, { ...belief, until: process.hrtime.bigint() });
    await this.worker.kill("SIGKILL");
  }

  /** Tells it to end, and waits for that. */
  async end(): Promise<{ readonly over: string | null; readonly exit: Exit }> {
    const over = this.worker.next<string | null>("over");
    const exit = await this.worker.kill("SIGTERM");
    return { over: await over, exit };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.worker.dispose();
  }
}

export async function openCandidate(
  database: TestDatabase,
  options: LockerOptions = {},
  lead: LeadOptions = {},
): Promise<Candidate> {
  return new Candidate(await startWorker("test/lead/lead-worker.ts", { url: database.url, options, lead }));
}

/** Pairs of terms of which the later began before the earlier had ended to believe. */
export function overlaps(...candidates: readonly Candidate[]): readonly string[] {
  const beliefs = candidates.flatMap((candidate) => candidate.beliefs).sort((a, b) => Number(a.from - b.from));
  return beliefs.slice(1).flatMap((belief, index) => {
    const before = beliefs[index];
    return before !== undefined && before.until >= belief.from ? [`${before.fence} and ${belief.fence}`] : [];
  });
}
