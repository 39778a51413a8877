// The processes under the load, and what they have told since the sample before.
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../../bench/statistics.js";
import { startWorker, type WorkerProcess } from "../support/child.js";
import { randomFrom } from "../support/random.js";
import type { Report, Turn } from "./report.js";
import type { ClientSample, Quantiles, Sample } from "./samples.js";
import type { Left, WorkerArgs } from "./worker.js";

export interface WorkersInit {
  readonly url: string;
  /** By way of a proxy: for every second worker. */
  readonly proxyUrl: string;
  readonly count: number;
  readonly rate: number;
  readonly seed: number;
  readonly reportEveryMs: number;
  readonly heapEveryMs: number;
  /** What must not be. */
  readonly onProblem: (text: string) => void;
}

interface Slot {
  readonly index: number;
  readonly isLasting: boolean;
  process: WorkerProcess;
  /** It is being killed or ended: its end is no fault. */
  isEnding: boolean;
  /** When it reported last, by the clock of its reports. */
  reportedAt: number;
}

export class Workers {
  readonly #init: WorkersInit;
  readonly #newSeed: () => number;
  readonly #slots: Slot[] = [];
  #started = 0;
  #collected = emptyCollected();
  #turns: Turn[] = [];
  #lastTurn: Turn | null = null;

  private constructor(init: WorkersInit) {
    this.#init = init;
    const seeds = randomFrom(init.seed);
    this.#newSeed = () => Math.floor(seeds() * 2 ** 32);
  }

  static async start(init: WorkersInit): Promise<Workers> {
    const workers = new Workers(init);
    const starts = Array.from({ length: init.count }, async (_, index) => {
      const isLasting = index < Math.ceil(init.count / 2);
      const process = await workers.#startProcess(index, isLasting);
      const slot: Slot = { index, isLasting, process, isEnding: false, reportedAt: 0 };
      workers.#slots[index] = slot;
      workers.#listen(slot);
    });
    const failed = (await Promise.allSettled(starts)).find((start) => start.status === "rejected");
    if (failed !== undefined) {
      await workers.kill();
      throw failed.reason;
    }
    return workers;
  }

  get count(): number {
    return this.#slots.length;
  }

  get pids(): readonly number[] {
    return this.#slots.map(({ process }) => process.pid);
  }

  /** How many processes there have been. */
  get started(): number {
    return this.#started;
  }

  /** Kills one of those that do not last, and starts another in its place. `share`: from 0 to below 1, which one. */
  async replace(share: number): Promise<void> {
    const mortal = this.#slots.filter(({ isLasting }) => !isLasting);
    const slot = mortal[Math.floor(share * mortal.length)];
    if (slot === undefined) return;
    slot.isEnding = true;
    await slot.process.kill();
    slot.process = await this.#startProcess(slot.index, slot.isLasting);
    slot.isEnding = false;
    this.#listen(slot);
  }

  async freeze(share: number, ms: number): Promise<void> {
    const slot = this.#slots[Math.floor(share * this.#slots.length)];
    slot?.process.stop();
    await sleep(ms);
    slot?.process.cont();
  }

  /** What they have told since the last call. */
  take(): Pick<Sample, "clients" | "cycle" | "handover" | "floor" | "done" | "grants" | "skipped" | "errors"> {
    const { clients, cycles, floors, ...sums } = this.#collected;
    this.#collected = emptyCollected();
    return {
      ...sums,
      clients: [...clients.values()],
      cycle: quantiles(cycles),
      floor: quantiles(floors),
      handover: quantiles(this.#handovers()),
    };
  }

  /** Ends all acts and closes all lockers; the processes are gone then. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#slots.map(async (slot) => {
        const left = await slot.process.request<Left>("stop", {}, { timeoutMs: 120_000 });
        slot.isEnding = true;
        await slot.process.dispose();
        for (const [what, count] of Object.entries(left)) {
          if (count > 0) this.#init.onProblem(`worker ${slot.index + 1} had ${count} ${what} left at its end`);
        }
      }),
    );
  }

  /** When something has failed. */
  async kill(): Promise<void> {
    await Promise.all(
      this.#slots.map((slot) => {
        slot.isEnding = true;
        return slot.process.dispose();
      }),
    );
  }

  async #startProcess(index: number, isLasting: boolean): Promise<WorkerProcess> {
    const { url, proxyUrl, rate, count, reportEveryMs, heapEveryMs } = this.#init;
    this.#started += 1;
    const args: WorkerArgs = {
      url: index % 2 === 0 ? url : proxyUrl,
      name: `worker-${this.#started}`,
      seed: this.#newSeed(),
      rate: rate / count,
      totalRate: rate,
      isLasting,
      reportEveryMs,
      heapEveryMs,
    };
    return await startWorker("test/soak/worker.ts", args);
  }

  #listen(slot: Slot): void {
    const { process } = slot;
    void process.exit.then(({ code, signal }) => {
      if (slot.isEnding || slot.process !== process) return;
      this.#init.onProblem(
        `worker ${slot.index + 1} ended by itself (${signal ?? code}): ${process.stderr.slice(-2_000)}`,
      );
    });
    void (async () => {
      for (;;) this.#collect(slot, await process.next<Report>("report", { timeoutMs: 2 ** 31 - 1 }));
    })().catch(() => {}); // it has ended
  }

  #collect(slot: Slot, { at, client, cycles, floors, turns, ...sums }: Report): void {
    const all = this.#collected;
    slot.reportedAt = at;
    all.done += sums.done;
    all.grants += sums.grants;
    all.skipped += sums.skipped;
    for (const [code, count] of Object.entries(sums.errors)) all.errors[code] = (all.errors[code] ?? 0) + count;
    if (!slot.isLasting) return; // a new process is slow at first
    const heapMb = client.heapMb ?? all.clients.get(slot.index)?.heapMb ?? null;
    all.clients.set(slot.index, { ...client, heapMb, worker: slot.index + 1 });
    all.cycles.push(...cycles);
    all.floors.push(...floors);
    this.#turns.push(...turns);
  }

  /** From each release to the next grant, if its holder had been in line; as far as all have told. */
  #handovers(): number[] {
    const known = Math.min(...this.#slots.filter(({ isLasting }) => isLasting).map(({ reportedAt }) => reportedAt));
    const turns = this.#turns.filter(({ endedAt }) => endedAt < known).sort((a, b) => a.grantedAt - b.grantedAt);
    this.#turns = this.#turns.filter(({ endedAt }) => endedAt >= known);
    return turns.flatMap((turn) => {
      const before = this.#lastTurn;
      this.#lastTurn = turn;
      const isInLine = before?.isReleased === true && turn.askedAt < before.endedAt;
      return isInLine ? [turn.grantedAt - before.endedAt] : [];
    });
  }
}

interface Collected {
  done: number;
  grants: number;
  skipped: number;
  errors: Record<string, number>;
  clients: Map<number, ClientSample>;
  cycles: number[];
  floors: number[];
}

function emptyCollected(): Collected {
  return { done: 0, grants: 0, skipped: 0, errors: {}, clients: new Map(), cycles: [], floors: [] };
}

function quantiles(numbers: readonly number[]): Quantiles | null {
  return numbers.length === 0 ? null : { p50: quantile(numbers, 0.5), p99: quantile(numbers, 0.99) };
}
