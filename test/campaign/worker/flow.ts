// What an act has at hand.
import type { Locker } from "../../../src/index.js";
import type { CampaignWorkerArgs } from "./arguments.js";
import type { Chance } from "./chance.js";
import type { Data } from "./data.js";
import type { Handles } from "./handles.js";
import type { LogFile } from "./log-file.js";
import type { Memory } from "./memory.js";

export interface Flow {
  readonly args: CampaignWorkerArgs;
  readonly chance: Chance;
  readonly log: LogFile;
  readonly handles: Handles;
  readonly data: Data;
  readonly memory: Memory;
  /** The one that is open now: it is closed and replaced now and then. */
  readonly locker: Locker;
  /** Fires when the worker is told to finish. */
  readonly stopping: AbortSignal;
  /** Another locker, with the options of this worker. */
  open(options: { readonly url: string }): Locker;
  /** Closes the locker; acts that begin meanwhile wait for the one that takes its place. */
  reopen(close: (locker: Locker) => Promise<void>): Promise<void>;
  /** Sleeps, but no longer than until the worker is told to finish. */
  pause(ms: number): Promise<void>;
}

/** One kind of thing that a worker does, again and again. */
export interface Act {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  /** Whether there is anything to do it with; default true. */
  isPossible?(args: CampaignWorkerArgs): boolean;
  /** Resolves to whether it did what it is for: with faults about, much of it comes to nothing. */
  run(flow: Flow): Promise<boolean>;
}
