// Read locks and semaphores beside exclusive locks, of one build: each kind is a contender.
import type { ShareOptions } from "../../src/index.js";
import { type Crew, withCrews } from "../crew.js";
import type { Entrants } from "../entrants.js";
import type { Row } from "../results.js";
import { median } from "../statistics.js";
import type { Grant } from "../worker.js";
import { inTurns, toRow, type Workload } from "./workload.js";

const IN_FLIGHT = 128;
const SLOTS = 8;
const HELD = 1_000;

export const READERS = `${IN_FLIGHT} in flight: readers of one key`;
export const WRITERS = "exclusive, a key each";
export const SLOT_GAP = `${IN_FLIGHT} workers, 1 key: gap until a place is taken again`;
const HOLD_MS = 20;
export const BUSY_SLOT_GAP = `the same, each holds it for ${HOLD_MS} ms`;
export const EXCLUSIVE = "exclusive";
export const CROWDED = `a reader beside ${HELD.toLocaleString("en-US")} others of its key: acquire and release`;

const KEY = "shares:hot";

export const shares: Workload = {
  name: "shares",
  about:
    "readers of one key beside exclusive locks of a key each; the gap of a semaphore's places; a reader among a thousand",
  async run(entrants, { windowMs, rounds, coldRounds, isQuick }, report) {
    const [readers, writers] = [own(entrants, "readers", { shared: true }), own(entrants, WRITERS)];
    await withCrews([readers, writers], 1, async (crews) => {
      const window = (crew: Crew) =>
        crew.window(IN_FLIGHT, windowMs, crew.name === WRITERS ? "own" : { kind: "one", key: KEY });
      const results = await inTurns(crews, rounds, window, coldRounds);
      report(crews.map((crew, index) => toRow(this.name, READERS, crew.name, results[index] ?? [])));
    });

    const semaphore = own(entrants, `semaphore of ${SLOTS}`, { capacity: SLOTS });
    await withCrews([semaphore, own(entrants, EXCLUSIVE)], 1, async (crews) => {
      const ms = isQuick ? 500 : 1_500;
      for (const [of, holdMs] of [
        [SLOT_GAP, 0],
        [BUSY_SLOT_GAP, HOLD_MS],
      ] as const) {
        const gaps = async (crew: Crew) =>
          gapOf(await crew.hot(`${KEY} ${crew.name}`, IN_FLIGHT, ms, holdMs), crew.name === EXCLUSIVE ? 1 : SLOTS);
        const results = await inTurns(crews, isQuick ? 2 : rounds, gaps, 1);
        report(crews.map((crew, index) => msRow(of, crew.name, results[index] ?? [])));
      }
    });

    const [crowd, reader] = [own(entrants, "crowd", { shared: true }), own(entrants, "reader", { shared: true })];
    await withCrews([crowd, reader], 1, async ([holding, measured]) => {
      if (holding === undefined || measured === undefined) return;
      await holding.workers[0]?.request("share", { key: CROWD_KEY, count: HELD }, { timeoutMs: 60_000 });
      const cycle = async (crew: Crew) =>
        1_000 / (await crew.window(1, windowMs, { kind: "one", key: CROWD_KEY })).rate;
      const results = await inTurns([measured], rounds, cycle, coldRounds);
      report([msRow(CROWDED, "leasehold", results[0] ?? [])]);
    });
  },
};

const CROWD_KEY = "shares:crowd";

/** This build, asking for that. */
function own({ leaseholds }: Entrants, name: string, share?: ShareOptions) {
  const [entrant] = leaseholds;
  if (entrant === undefined) throw new Error("leasehold takes no part");
  return { ...entrant, name, spec: { ...entrant.spec, ...(share && { share }) } };
}

/** From a release to the grant that takes the place which it freed: the n-th release of a semaphore of so many makes room for that many grants later. */
function gapOf(grants: readonly Grant[], places: number): number {
  const granted = grants.map(({ grantedAt }) => grantedAt).sort((a, b) => a - b);
  const released = grants.map(({ releasedAt }) => releasedAt).sort((a, b) => a - b);
  return median(granted.slice(places).map((at, index) => at - (released[index] ?? at)));
}

function msRow(of: string, contender: string, samples: readonly number[]): Row {
  return { workload: "shares", case: of, contender, unit: "ms", isMoreBetter: false, samples };
}
