// What a worker tells every few seconds, and how it is collected there.
import { getEventListeners } from "node:events";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openDescriptors } from "./process-memory.js";
import type { ClientSample } from "./samples.js";
import { countTimers } from "./timers.js";

/** One grant of a key that is measured. Times are of the machine's monotonic clock, the same in all processes, in ms. */
export interface Turn {
  readonly key: string;
  readonly askedAt: number;
  readonly grantedAt: number;
  readonly endedAt: number;
  /** False: it was lost, so the next grant does not tell how long a release took. */
  readonly isReleased: boolean;
}

/** Of the time since the report before. */
export interface Report {
  readonly at: number;
  readonly client: Omit<ClientSample, "worker">;
  readonly done: number;
  readonly grants: number;
  readonly skipped: number;
  readonly errors: Readonly<Record<string, number>>;
  /** In ms. */
  readonly cycles: readonly number[];
  readonly floors: readonly number[];
  readonly turns: readonly Turn[];
}

const MB = 1024 * 1024;
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

export class Meter {
  /** Given to every call: listeners of calls that are over would stay on it. */
  readonly signal: AbortSignal;
  done = 0;
  grants = 0;
  skipped = 0;
  #errors: Record<string, number> = {};
  #cycles: number[] = [];
  #floors: number[] = [];
  #turns: Turn[] = [];
  #heapAt = 0;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  error(code: string): void {
    this.#errors[code] = (this.#errors[code] ?? 0) + 1;
  }

  cycle(ms: number): void {
    this.#cycles.push(ms);
  }

  floor(ms: number): void {
    this.#floors.push(ms);
  }

  turn(turn: Turn): void {
    this.#turns.push(turn);
  }

  /** Begins anew. Garbage is collected, which takes some 10 ms, when that was last done so long ago. */
  report(heapEveryMs: number): Report {
    const timers = countTimers();
    const isHeapDue = now() - this.#heapAt >= heapEveryMs;
    if (isHeapDue) {
      this.#heapAt = now();
      collectGarbage();
    }
    const { rss, external, heapUsed } = process.memoryUsage();
    const report: Report = {
      at: now(),
      client: {
        rssMb: rss / MB,
        externalMb: external / MB,
        descriptors: openDescriptors(),
        listeners: getEventListeners(this.signal, "abort").length,
        timers,
        heapMb: isHeapDue ? (heapUsed - compiledCode()) / MB : null,
      },
      done: this.done,
      grants: this.grants,
      skipped: this.skipped,
      errors: this.#errors,
      cycles: this.#cycles,
      floors: this.#floors,
      turns: this.#turns,
    };
    this.done = 0;
    this.grants = 0;
    this.skipped = 0;
    this.#errors = {};
    this.#cycles = [];
    this.#floors = [];
    this.#turns = [];
    return report;
  }
}

/** In bytes. Node goes on compiling for tens of thousands of acts: half a megabyte from the tenth thousand to the thirtieth. */
function compiledCode(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name }) => space_name.startsWith("code"));
  return spaces.reduce((sum, { space_used_size }) => sum + space_used_size, 0);
}

export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
