// What a run writes down, and what the verdict, the charts and the page are made from.

/** Null where there was nothing to measure. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

/** A worker process that lasts from the start to the end: those that are killed and replaced show no slow growth. */
export interface ClientSample {
  readonly worker: number;
  readonly rssMb: number;
  readonly externalMb: number;
  /** Sockets, pipes and files. Null where there is no /proc. */
  readonly descriptors: number | null;
  /** On the one AbortSignal that every call of the process was given. */
  readonly listeners: number;
  readonly timers: number;
  /** Without compiled code, after a full collection of garbage, which is done more seldom: null in between. */
  readonly heapMb: number | null;
}

export interface TableSample {
  readonly table: string;
  readonly tableKb: number;
  readonly indexesKb: number;
  readonly deadRows: number;
}

export interface ServerSample {
  /** Tells the times between two restarts apart. */
  readonly startedAt: number;
  /** Memory that is of one process alone, summed over all of the server. Null: not a server of ours, or no /proc. */
  readonly privateMb: number | null;
  /** The same with each process's part of what is shared. */
  readonly proportionalMb: number | null;
  /** Of lockers. */
  readonly connections: number;
  readonly walBytes: number;
  readonly databaseMb: number;
  /** How full the queue of NOTIFY is, from 0 to 1. */
  readonly notifyQueue: number;
  readonly rows: Readonly<Record<"leases" | "shares" | "waiters" | "sessions" | "counters", number>>;
  readonly tables: readonly TableSample[];
}

/** Of the time since the sample before. */
export interface Sample {
  readonly atS: number;
  readonly clients: readonly ClientSample[];
  /** Null: the server did not answer. */
  readonly server: ServerSample | null;
  /** Acquire and release of a free key, in ms. */
  readonly cycle: Quantiles | null;
  /** From the release of one process to the grant of another that stood in line, in ms. */
  readonly handover: Quantiles | null;
  /** A durable update of one row without any lock, in ms: how fast machine and server are just then. */
  readonly floor: Quantiles | null;
  readonly done: number;
  readonly grants: number;
  /** Acts that were not begun, because too many were under way. */
  readonly skipped: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Of the whole machine, over the last minute. */
  readonly machineLoad: number;
}

export interface Fault {
  readonly atS: number;
  readonly what: string;
}

export interface SoakRun {
  readonly about: {
    readonly date: string;
    readonly commit: string;
    readonly node: string;
    readonly postgres: string;
    readonly machine: string;
    readonly processors: number;
    readonly minutes: number;
    readonly rate: number;
    readonly seed: number;
    readonly workers: number;
    /** Of the machine, before the run began. */
    readonly loadBefore: number;
  };
  readonly samples: readonly Sample[];
  readonly faults: readonly Fault[];
  /** Rows of each of these tables that the load explains at most. */
  readonly explainedRows: Readonly<Partial<Record<keyof ServerSample["rows"], number>>>;
  /** What must not be in a run of any length, such as a process that ended by itself. */
  readonly problems: readonly string[];
}
