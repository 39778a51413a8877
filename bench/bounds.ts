// The bounds of speed: each a figure made from the rows of one run, what it must be and what it should be.
import { type BoundResult, findRow, type Row, ratioOf, toFigure } from "./results.js";
import { median } from "./statistics.js";
import { BUSY_CASE, QUIET_CASE } from "./workloads/busy.js";
import { CYCLES_INDEXES, CYCLES_TABLE } from "./workloads/cycles.js";
import { FAILED_TRY } from "./workloads/failed-try.js";
import { FIRST_LOCK, IMPORT } from "./workloads/first-lock.js";
import { GAP_FLOOR, gapCase, hotKeyCase } from "./workloads/hot-key.js";
import { KEEP_ALIVE } from "./workloads/keep-alive.js";
import { manyRowsCase, manyRowsName } from "./workloads/many-rows.js";
import { MEMORY_STORE } from "./workloads/memory-store.js";
import { ROUTING } from "./workloads/routing.js";
import { SET_OF_MANY, SET_OF_ONE } from "./workloads/sets.js";
import { BUSY_SLOT_GAP, CROWDED, EXCLUSIVE, READERS, SLOT_GAP, WRITERS } from "./workloads/shares.js";
import { TAKEOVER } from "./workloads/takeover.js";
import { uncontendedCase } from "./workloads/uncontended.js";

interface Bound {
  readonly what: string;
  readonly must: number;
  readonly goal: number;
  /** Whether the figure may be at most that much, or must be at least that. */
  readonly limit: "at most" | "at least";
  readonly unit: string;
  /** For the build `of`; undefined when what it needs was not measured. */
  measure(rows: readonly Row[], of: string): number | undefined;
}

type Measure = Bound["measure"];

const atLeast = (what: string, must: number, goal: number, measure: Measure, unit = "x"): Bound => ({
  ...{ what, must, goal, limit: "at least", unit, measure },
});
const atMost = (what: string, must: number, goal: number, measure: Measure, unit = "x"): Bound => ({
  ...{ what, must, goal, limit: "at most", unit, measure },
});

const rate =
  (inFlight: number, peer: string): Measure =>
  (rows, of) => {
    const name = uncontendedCase(inFlight, 1);
    return ratioOf(findRow(rows, "uncontended", name, of), findRow(rows, "uncontended", name, peer));
  };

const gap =
  (processes: number): Measure =>
  (rows, of) => {
    const name = gapCase(16, processes);
    return ratioOf(findRow(rows, "hot-key", name, of), findRow(rows, "hot-key", name, GAP_FLOOR));
  };

/** The worst of what was measured; undefined when nothing was. */
const most = (figures: readonly (number | undefined)[]): number | undefined => {
  const known = figures.filter((figure) => figure !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
};

const inverse = (figure: number | undefined): number | undefined => figure && 1 / figure;
const medianOf = (row: Row | undefined): number | undefined => row && median(row.samples);

/** What is beside the other build: for that itself there is nothing to compare. */
const besideOther =
  (of: string): Measure =>
  (rows, build) =>
    build === "against"
      ? undefined
      : ratioOf(findRow(rows, "first-lock", of, build), findRow(rows, "first-lock", of, "against"));

const bounds: readonly Bound[] = [
  atMost("1 in flight: time of a cycle, to one durable and one asynchronous update", 1.7, 1.4, (rows, of) =>
    inverse(rate(1, "two commits")(rows, of)),
  ),
  atLeast("16 in flight: rate, to redlock in memory", 0.45, 0.6, rate(16, "redlock")),
  atLeast("16 in flight: rate, to redlock with fsync", 0.9, 1.2, rate(16, "redlock-fsync")),
  atLeast("128 in flight: rate, to redlock in memory", 1.2, 1.5, rate(128, "redlock")),
  atLeast("1,024 in flight: rate, to redlock in memory", 1.6, 2, rate(1_024, "redlock")),
  atLeast("1,024 in flight: rate, to etcd", 20, 20, rate(1_024, "etcd3")),
  // 3 busy ones, a client and a server share 2 processors: about half is left, and a third was a collapse.
  atLeast("1,024 in flight beside 3 busy processes: rate, to the rate alone", 0.35, 0.45, (rows, of) =>
    ratioOf(findRow(rows, "busy", BUSY_CASE, of), findRow(rows, "busy", QUIET_CASE, of)),
  ),
  atMost("hot key, 1 process: gap to the next holder, to a durable update", 3, 2, gap(1)),
  atMost("hot key, 4 processes: gap to the next holder, to a durable update", 6, 3, gap(4)),
  atLeast(
    "hot key: Jain's index, the lower of 1 and 4 processes",
    0.99,
    0.99,
    (rows, of) => {
      const unfair = [1, 4].map(
        (processes) => findRow(rows, "hot-key", hotKeyCase(16, processes), of)?.also?.["Jain's index"],
      );
      const worst = most(unfair.map((index) => index && -index));
      return worst && -worst;
    },
    "",
  ),
  atMost("failed try: time, to select 1", 2, 1.5, (rows, of) =>
    inverse(ratioOf(findRow(rows, "failed-try", FAILED_TRY, of), findRow(rows, "failed-try", FAILED_TRY, "select 1"))),
  ),
  // A record is 24 bytes or more; of another backend's, such as a heartbeat's, a few may fall into a window.
  atMost(
    "failed try: WAL",
    1,
    1,
    (rows, of) => findRow(rows, "failed-try", FAILED_TRY, of)?.also?.["WAL bytes"],
    "bytes",
  ),
  atMost(
    "takeover after SIGKILL, delay 0: median",
    150,
    80,
    (rows, of) => medianOf(findRow(rows, "takeover", TAKEOVER, of)),
    "ms",
  ),
  atMost(
    "keep-alive of 10,000, TTL 30 s: client and server",
    2,
    1.5,
    (rows, of) => medianOf(findRow(rows, "keep-alive", KEEP_ALIVE, of)),
    "% of a processor",
  ),
  atMost("10^6 rows: time of a cycle, to 10^3 rows, the worst of 1, 16 and 128 in flight", 1.2, 1.1, (rows, of) =>
    most(
      [1, 16, 128].map((inFlight) => {
        const row = (isMany: boolean) => findRow(rows, "many-rows", manyRowsCase(inFlight), manyRowsName(of, isMany));
        return ratioOf(row(false), row(true));
      }),
    ),
  ),
  atMost("10^6 cycles: size of table or indexes at the end, to that after a fifth", 1.05, 1, (rows, of) =>
    most(
      [CYCLES_TABLE, CYCLES_INDEXES].map((size) => {
        const { also } = findRow(rows, "cycles", size, of) ?? {};
        return also && (also["at the end"] as number) / (also["after 20 %"] as number);
      }),
    ),
  ),
  atMost("20 free keys at once: time, to one key", 3, 2, (rows, of) =>
    ratioOf(findRow(rows, "sets", SET_OF_MANY, of), findRow(rows, "sets", SET_OF_ONE, of)),
  ),
  atMost(
    "a key's instance of 8: time",
    1,
    0.6,
    (rows, of) => (of === "leasehold" ? medianOf(findRow(rows, "routing", ROUTING, of)) : undefined),
    "µs",
  ),
  atLeast(
    "memory store, 16 in flight: rate",
    500_000,
    600_000,
    (rows, of) => medianOf(findRow(rows, "memory-store", MEMORY_STORE, of)),
    "cycles/s",
  ),
  atLeast("readers of one key, 128 in flight: rate, to exclusive locks of a key each", 0.5, 0.7, (rows) =>
    ratioOf(findRow(rows, "shares", READERS, "readers"), findRow(rows, "shares", READERS, WRITERS)),
  ),
  atMost("semaphore of 8, 128 workers: gap until a place is taken again, to an exclusive hot key", 1, 0.8, (rows) =>
    ratioOf(findRow(rows, "shares", SLOT_GAP, "semaphore of 8"), findRow(rows, "shares", SLOT_GAP, EXCLUSIVE)),
  ),
  atMost("the same, where each holds it for 20 ms", 1, 0.8, (rows) =>
    ratioOf(
      findRow(rows, "shares", BUSY_SLOT_GAP, "semaphore of 8"),
      findRow(rows, "shares", BUSY_SLOT_GAP, EXCLUSIVE),
    ),
  ),
  atMost(
    "a reader beside 1,000 others of its key: acquire and release",
    5,
    2,
    (rows) => medianOf(findRow(rows, "shares", CROWDED, "leasehold")),
    "ms",
  ),
  atMost("import: to the other build", 1.1, 1, besideOther(IMPORT)),
  atMost("first lock: to the other build", 1.1, 1, besideOther(FIRST_LOCK)),
];

export function checkBounds(rows: readonly Row[]): BoundResult[] {
  const hasAgainst = rows.some(({ contender }) => contender.startsWith("against"));
  return bounds.map((bound) => {
    const figure = bound.measure(rows, "leasehold");
    const other = hasAgainst ? bound.measure(rows, "against") : undefined;
    const text = (value: number) => `${toFigure(value)} ${bound.unit}`.trim();
    return {
      what: bound.what,
      must: `${bound.limit} ${text(bound.must)}`,
      goal: text(bound.goal),
      measured: figure === undefined ? null : text(figure),
      isMet: figure === undefined ? null : isWithin(figure, bound.must, bound.limit),
      isGoalMet: figure === undefined ? null : isWithin(figure, bound.goal, bound.limit),
      against: other === undefined ? null : text(other),
    };
  });
}

function isWithin(figure: number, limit: number, side: Bound["limit"]): boolean {
  return side === "at most" ? figure <= limit : figure >= limit;
}
