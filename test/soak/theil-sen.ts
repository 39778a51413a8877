// A slope that a few wild samples do not move.
import { median } from "../../bench/statistics.js";

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Only points of one stretch are compared: between two, something began anew. */
  readonly stretch: number;
}

/** The median of the slopes between all pairs of points of one stretch; 0 when there are none. */
export function slopeWithin(points: readonly Point[]): number {
  const slopes: number[] = [];
  for (const [index, a] of points.entries()) {
    for (const b of points.slice(index + 1)) {
      if (a.stretch === b.stretch && a.x !== b.x) slopes.push((b.y - a.y) / (b.x - a.x));
    }
  }
  return slopes.length === 0 ? 0 : median(slopes);
}
