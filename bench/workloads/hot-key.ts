// All workers want one key. Each holds it for one turn of its event loop.
import { type Crew, withCrews } from "../crew.js";
import type { Row } from "../results.js";
import { jain, mean, median, quantile } from "../statistics.js";
import type { Grant } from "../worker.js";
import { inTurns, type Workload } from "./workload.js";

export const hotKeyCase = (workers: number, processes: number) =>
  `${workers} workers, ${processes === 1 ? "1 process" : `${processes} processes`}`;

export const gapCase = (workers: number, processes: number) => `${hotKeyCase(workers, processes)}: gap`;
export const GAP_FLOOR = "durable update";

const KEY = "hot:key";

const FEWEST_TURNS = 5;

interface HotWindow {
  readonly rate: number;
  readonly gaps: readonly number[];
  readonly waits: readonly number[];
  /** Grants of each worker. */
  readonly shares: readonly number[];
}

export const hotKey: Workload = {
  name: "hot-key",
  about: "workers that all want one key: grants, and the gap from a release to the next other holder's grant",
  async run(entrants, { isQuick, windowMs, coldRounds }, report) {
    const waiting = [...entrants.leaseholds, ...entrants.peers].filter(({ doesWait }) => doesWait);
    const able = isQuick
      ? waiting.filter(({ name, spec }) => spec.kind === "leasehold" || name === "table-lock")
      : waiting.filter(({ name }) => !name.endsWith("-fsync"));
    const [ms, rounds] = isQuick ? [500, 2] : [1_500, 3];
    const counts = isQuick ? [16] : [2, 16, 128];
    for (const processes of [1, 4]) {
      await withCrews(able, processes, (crews) =>
        withCrews([entrants.floor(GAP_FLOOR, "durable")], 1, async ([floor]) => {
          for (const workers of counts) {
            const [of, gapOf] = [hotKeyCase(workers, processes), gapCase(workers, processes)];
            const taking = crews.filter(({ entrant }) => entrant.mostInFlight >= workers);
            const turns = [...taking, ...(floor ? [floor] : [])];
            const take = async (crew: Crew, round: number) => {
              if (crew === floor) return (await crew.window(1, windowMs)).rate;
              const length = round < 0 ? ms / 4 : ms;
              return summarise(await crew.hot(KEY, workers, length), workers, length);
            };
            const isFirst = workers === counts[0];
            const results = await inTurns(turns, rounds, take, isFirst ? coldRounds : 1);
            const windows = taking.map((_, index) => results[index] as HotWindow[]);
            const floorRates = results.at(-1) as number[];
            report(taking.map((crew, index) => rateRow(of, crew, windows[index] ?? [])));
            report([
              ...taking.map((crew, index) =>
                gapRow(
                  gapOf,
                  crew.name,
                  (windows[index] ?? []).map(({ gaps }) => median(gaps)),
                ),
              ),
              gapRow(
                gapOf,
                GAP_FLOOR,
                floorRates.map((rate) => 1_000 / rate),
              ),
            ]);
          }
        }),
      );
    }
  },
};

function summarise(grants: readonly Grant[], workers: number, ms: number): HotWindow {
  const start = Math.min(...grants.map(({ askedAt }) => askedAt));
  // What comes later are those who still waited at the end.
  const inTime = grants.filter(({ grantedAt }) => grantedAt < start + ms);
  const shares = Array.from({ length: workers }, () => 0);
  for (const { worker } of inTime) shares[worker] = (shares[worker] ?? 0) + 1;
  const gaps = inTime.slice(1).flatMap((grant, index) => {
    const before = inTime[index];
    return before === undefined || before.worker === grant.worker ? [] : [grant.grantedAt - before.releasedAt];
  });
  const waits = grants.map(({ askedAt, grantedAt }) => grantedAt - askedAt);
  return { rate: (inTime.length * 1_000) / ms, gaps, waits, shares };
}

function rateRow(of: string, crew: Crew, windows: readonly HotWindow[]): Row {
  const shares = windows.map((window) => window.shares);
  const sums = (shares[0] ?? []).map((_, worker) => shares.reduce((sum, one) => sum + (one[worker] ?? 0), 0));
  return {
    workload: "hot-key",
    case: of,
    contender: crew.name,
    unit: "grants/s",
    isMoreBetter: true,
    samples: windows.map(({ rate }) => rate),
    also: {
      "gap p95 ms": quantile(
        windows.flatMap(({ gaps }) => gaps),
        0.95,
      ),
      "longest wait ms": Math.max(...windows.flatMap(({ waits }) => waits)),
      // With fewer turns for each, one more or less for some is a difference that says nothing.
      ...(mean(sums) >= FEWEST_TURNS && { "Jain's index": jain(sums) }),
    },
  };
}

function gapRow(of: string, contender: string, samples: readonly number[]): Row {
  return { workload: "hot-key", case: of, contender, unit: "ms", isMoreBetter: false, samples };
}
