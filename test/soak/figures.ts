// What must not grow, and by how much each figure may differ between two parts of one run all the same.
import type { Middle, Reading } from "./parts.js";
import type { ClientSample, Quantiles, Sample, SoakRun } from "./samples.js";

export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly of: Reading;
  /** The last part may have so much more than the second, as a share of it, */
  readonly share: number;
  /** and so much on top. */
  readonly slack: number;
  /** It is no better than the machine: it does not count while that is busy with other work. */
  readonly isOfMachine?: boolean;
  /**
   * Default: the median. Low: the tenth part from below, for what rises with each disturbance; a leak does not come down again, and lifts that, too.
   */
  readonly middle?: Middle;
  /** How fast the machine was: where that has changed, the bound changes with it. Never below what it was. */
  readonly beside?: Reading;
}

/** Those of this run: for each of its lasting processes and its tables. */
export function figuresOf(run: SoakRun): readonly Figure[] {
  const workers = [...new Set(run.samples.flatMap(({ clients }) => clients.map(({ worker }) => worker)))].sort();
  const tables = [
    ...new Set(run.samples.flatMap(({ server }) => server?.tables.map(({ table }) => table) ?? [])),
  ].sort();
  return [
    ...workers.flatMap(ofClient),
    ...ofServer,
    ...tables.filter((table) => table !== "counters").flatMap(ofTable),
    ...ofTime,
    ...ofOutcomes,
  ];
}

function ofClient(worker: number): Figure[] {
  const of =
    (read: (client: ClientSample) => number | null): Reading =>
    ({ clients }) => {
      const client = clients.find((one) => one.worker === worker);
      return client === undefined ? null : read(client);
    };
  const name = `client ${worker}`;
  return [
    // Closures of 100 bytes for each grant would be some megabytes in an hour.
    { what: `${name}: heap`, unit: "MB", share: 0.05, slack: 1, middle: "low", of: of(({ heapMb }) => heapMb) },
    { what: `${name}: memory (RSS)`, unit: "MB", share: 0.1, slack: 16, of: of(({ rssMb }) => rssMb) },
    { what: `${name}: buffers outside of the heap`, unit: "MB", share: 0.1, slack: 2, of: of((c) => c.externalMb) },
    { what: `${name}: timers`, unit: "", share: 0.25, slack: 20, middle: "low", of: of(({ timers }) => timers) },
    { what: `${name}: sockets and files`, unit: "", share: 0, slack: 3, of: of(({ descriptors }) => descriptors) },
    {
      what: `${name}: listeners on a signal`,
      unit: "",
      share: 0.25,
      slack: 10,
      middle: "low",
      of: of(({ listeners }) => listeners),
    },
  ];
}

const ofServer: readonly Figure[] = [
  { what: "connections of lockers", unit: "", share: 0, slack: 1, of: ({ server }) => server?.connections },
  { what: "rows of leases", unit: "", share: 0.1, slack: 50, of: ({ server }) => server?.rows.leases },
  { what: "rows of shares", unit: "", share: 0.25, slack: 20, middle: "low", of: ({ server }) => server?.rows.shares },
  {
    what: "rows of waiters",
    unit: "",
    share: 0.25,
    slack: 20,
    middle: "low",
    of: ({ server }) => server?.rows.waiters,
  },
  { what: "rows of sessions", unit: "", share: 0, slack: 4, of: ({ server }) => server?.rows.sessions },
  { what: "queue of NOTIFY", unit: "%", share: 0, slack: 1, of: ({ server }) => server && server.notifyQueue * 100 },
  { what: "database", unit: "MB", share: 0.1, slack: 4, of: ({ server }) => server?.databaseMb },
  // Its rows are those of processes that have ended, for six hours: it is the size of one that must not grow.
  {
    ...{ what: "counters: table and indexes, for each row", unit: "kB", share: 0.25, slack: 16 },
    of: ({ server }) => {
      const table = server?.tables.find((one) => one.table === "counters");
      return server && table && (table.tableKb + table.indexesKb) / Math.max(1, server.rows.counters);
    },
  },
];

function ofTable(table: string): Figure[] {
  const find = ({ server }: Sample) => server?.tables.find((one) => one.table === table);
  return [
    { what: `${table}: table`, unit: "kB", share: 0.1, slack: 256, of: (sample) => find(sample)?.tableKb },
    { what: `${table}: indexes`, unit: "kB", share: 0.1, slack: 128, of: (sample) => find(sample)?.indexesKb },
    // Between two rounds of autovacuum, a minute apart, they may be as many as it takes to begin one, and those of a minute.
    { what: `${table}: dead rows`, unit: "", share: 1, slack: 2_000, of: (sample) => find(sample)?.deadRows },
  ];
}

type Timed = "cycle" | "handover";
const time = (what: string, of: Timed, quantile: keyof Quantiles, share: number): Figure => ({
  ...{ what, unit: "ms", share, slack: 0, isOfMachine: true },
  of: (sample) => sample[of]?.[quantile],
  beside: (sample) => sample.floor?.[quantile],
});

const ofTime: readonly Figure[] = [
  time("acquire and release: p50", "cycle", "p50", 0.5),
  time("acquire and release: p99", "cycle", "p99", 1),
  time("from a release to the next in line: p50", "handover", "p50", 0.5),
  time("from a release to the next in line: p99", "handover", "p99", 1),
];

const ofOutcomes: readonly Figure[] = [
  {
    ...{ what: "acts that failed, in a sample", unit: "", share: 1, slack: 2, middle: "mean", isOfMachine: true },
    of: ({ errors }) => Object.values(errors).reduce((sum, count) => sum + count, 0),
  },
  { what: "acts not begun, in a sample", unit: "", share: 0, slack: 1, middle: "mean", of: ({ skipped }) => skipped },
];
