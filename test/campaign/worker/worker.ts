// The life of a worker: its flows, its locker, and its end.
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker, type Locker } from "../../../src/index.js";
import { acts } from "../acts/acts.js";
import type { CampaignWorkerArgs } from "./arguments.js";
import { boundOfClose } from "./bounds.js";
import { Chance } from "./chance.js";
import { Data } from "./data.js";
import type { Act, Flow } from "./flow.js";
import { Handles } from "./handles.js";
import { LogFile } from "./log-file.js";
import { Memory } from "./memory.js";

export interface WorkerStats {
  /** How often each act was begun, and how often it did what it is for. */
  readonly acts: Readonly<Record<string, { readonly begun: number; readonly done: number }>>;
  /** How often each call ended how: `acquire: wait-timeout`. */
  readonly calls: Readonly<Record<string, number>>;
  /** Calls that have not settled. */
  readonly open: number;
  readonly lines: number;
}

/** What is still about to end when everything was closed: sockets whose other side has to say so. */
const SETTLE_MS = 300;
/** Before what is open counts as a leak. */
const MOST_PAUSES = 20;

export class Worker {
  readonly #args: CampaignWorkerArgs;
  readonly #log: LogFile;
  readonly #handles: Handles;
  readonly #data: Data;
  readonly #memory = new Memory();
  readonly #stop = new AbortController();
  readonly #openHandles: () => Map<object, () => string>;
  readonly #counts: Record<string, { begun: number; done: number }> = {};
  readonly #listeners: Readonly<Record<string, number>>;
  #locker: Locker;
  #flows: Promise<unknown> = Promise.resolve();
  /** Resolved, but while the locker is replaced. */
  #isOpen: Promise<unknown> = Promise.resolve();

  constructor(args: CampaignWorkerArgs, openHandles: () => Map<object, () => string>) {
    this.#args = args;
    setMaxListeners(0, this.#stop.signal); // each flow that sleeps listens to it
    this.#openHandles = openHandles;
    this.#log = new LogFile(args.logFile, args.name);
    this.#handles = new Handles(this.#log);
    process.on("uncaughtException", (error) => this.#log.uncaught(error, "thrown"));
    process.on("unhandledRejection", (reason) => this.#log.uncaught(reason, "rejected"));
    process.on("warning", (warning) => this.#log.uncaught(warning, "warning"));
    this.#data = new Data(args);
    this.#listeners = countListeners();
    this.#locker = this.#open({});
  }

  start(): void {
    const { name, takeoverDelayMs, requestTimeoutMs, presence } = this.#args;
    this.#log.write({
      e: "hello",
      client: "node",
      pid: process.pid,
      takeoverDelayMs: presence === "on" ? takeoverDelayMs : 0,
      requestTimeoutMs,
      presence: presence === "on",
      application: name,
    });
    this.#log.write({ e: "clock", wall: Date.now() * 1_000 });
    this.#handles.start();
    const possible = acts
      .map((act) => ({ ...act, run: act.run, weight: this.#args.mix?.[act.name] ?? act.weight }))
      .filter((act) => act.weight > 0 && (act.isPossible?.(this.#args) ?? true));
    this.#flows = Promise.all(Array.from({ length: this.#args.flows }, (_, at) => this.#run(this.#flow(at), possible)));
  }

  get stats(): WorkerStats {
    return { acts: this.#counts, calls: this.#log.counts, open: this.#log.open, lines: this.#log.lines };
  }

  /** Blocks the event loop. What it believes then is asked before anything else can run. */
  block(ms: number): void {
    const end = performance.now() + ms;
    while (performance.now() < end);
    this.#handles.sampleAll(true);
  }

  async finish(): Promise<WorkerStats> {
    this.#stop.abort();
    await this.#flows;
    this.#handles.sampleAll(true);
    await this.#log.call({ call: "close", keys: [], boundMs: boundOfClose(this.#args, 0) }, () => this.#locker.close());
    this.#handles.sampleAll(true);
    await this.#data.end();
    this.#handles.stop();
    // A pool of node-postgres ends before its sockets do, which takes long on a busy machine. A leak stays.
    let open: readonly string[] = [];
    for (let pauses = 1; pauses <= MOST_PAUSES && (pauses === 1 || open.length > 0); pauses += 1) {
      await sleep(SETTLE_MS);
      open = this.#findOpen();
    }
    this.#log.write({ e: "bye", open });
    return this.stats;
  }

  async #run(flow: Flow, possible: readonly Act[]): Promise<void> {
    await flow.pause(flow.chance.between(0, 100));
    while (!flow.stopping.aborted) {
      await this.#isOpen;
      const act = flow.chance.weighted(possible);
      const count = this.#counts[act.name] ?? { begun: 0, done: 0 };
      this.#counts[act.name] = count;
      count.begun += 1;
      try {
        if (await act.run(flow)) count.done += 1;
      } catch (error) {
        this.#log.uncaught(error);
      }
      // nobody is asked without a pause when everything fails at once
      await flow.pause(flow.chance.between(1, 15));
    }
  }

  #flow(at: number): Flow {
    const worker = this;
    const stopping = this.#stop.signal;
    return {
      args: this.#args,
      chance: new Chance(this.#args.seed + at * 7_919),
      log: this.#log,
      handles: this.#handles,
      data: this.#data,
      memory: this.#memory,
      get locker() {
        return worker.#locker;
      },
      stopping,
      open: (options) => this.#open(options),
      reopen: (close) => this.#reopen(close),
      pause: async (ms) => {
        if (!stopping.aborted) await sleep(ms, undefined, { signal: stopping }).catch(() => {});
      },
    };
  }

  #open({ url }: { readonly url?: string }): Locker {
    const { name, directUrl, presence, takeoverDelayMs, requestTimeoutMs, connectTimeoutMs } = this.#args;
    return createLocker({
      url: url ?? this.#args.url,
      ...(url === undefined && directUrl !== undefined ? { directUrl } : {}),
      presence,
      takeoverDelayMs,
      requestTimeoutMs,
      connectTimeoutMs,
      owner: name,
      onError: () => {},
      sweepEveryMs: 5_000,
      statsFlushMs: 1_000,
    });
  }

  async #reopen(close: (locker: Locker) => Promise<void>): Promise<void> {
    const reopened = close(this.#locker).finally(() => {
      this.#locker = this.#open({});
    });
    this.#isOpen = reopened;
    await reopened;
  }

  #findOpen(): string[] {
    const open = [...this.#openHandles().values()].map((what) => what().split("\n").slice(0, 2).join(" ").trim());
    for (const [event, count] of Object.entries(countListeners())) {
      const before = this.#listeners[event] ?? 0;
      if (count > before) open.push(`${count - before} listeners of the process for ${event}`);
    }
    return open;
  }
}

function countListeners(): Record<string, number> {
  return Object.fromEntries(process.eventNames().map((event) => [String(event), process.listenerCount(event)]));
}
