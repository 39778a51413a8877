import { type StatPoint, statColumns } from "../../protocol.js";

type StatName = (typeof statColumns)[number];

/** The value of a counter at a moment. */
export function statOf(point: StatPoint, name: StatName): unknown {
  return point[statColumns.indexOf(name) + 1];
}

function countOf(point: StatPoint, names: readonly StatName[]): number {
  return names.reduce((sum, name) => sum + Number(statOf(point, name) ?? 0), 0);
}

/** Moments (in seconds) and values, one for each pair of neighbours. */
export interface Series {
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
}

/** How much counters rose in `perMs`, on average. */
export function rates(points: readonly StatPoint[], names: readonly StatName[], perMs = 1_000): Series {
  return between(points, (before, after, ms) =>
    Math.max(0, ((countOf(after, names) - countOf(before, names)) / ms) * perMs),
  );
}

/** A percentile of what was counted: the upper bound of the bucket it is in, in milliseconds. Null: nothing was counted. */
export function percentiles(points: readonly StatPoint[], name: "waits" | "holds", share: number): Series {
  return between(points, (before, after) => {
    const [from, to] = [countsOf(before, name), countsOf(after, name)];
    const counts = to.map((count, index) => Math.max(0, count - (from[index] ?? 0)));
    return percentile(counts, share);
  });
}

export function percentile(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let reached = 0;
  const index = counts.findIndex((count) => {
    reached += count;
    return reached >= share * total;
  });
  return 2 ** index;
}

function countsOf(point: StatPoint, name: "waits" | "holds"): readonly number[] {
  const found = statOf(point, name);
  return Array.isArray(found) ? found.map(Number) : [];
}

/** Lockers write their counters every ten seconds, each at a time of its own: over less than that, most of them would seem to stand still. */
const OVER_MS = 10_000;

/** Each look against the last that was made ten seconds before it, or against the first. */
function between(
  points: readonly StatPoint[],
  measure: (before: StatPoint, after: StatPoint, ms: number) => number | null,
): Series {
  const times: number[] = [];
  const values: (number | null)[] = [];
  let first = 0;
  for (const [index, point] of points.entries()) {
    while (first + 1 < index && point[0] - (points[first + 1]?.[0] ?? 0) >= OVER_MS) first += 1;
    const before = points[first];
    if (index > 0 && before !== undefined) {
      times.push(point[0] / 1_000);
      values.push(measure(before, point, Math.max(1, point[0] - before[0])));
    }
  }
  return { times, values };
}
