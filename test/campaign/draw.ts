/** What is drawn for one fault, always as many numbers: how long the ones before it took changes nothing. */
export interface Draw {
  /** Each from 0 to below 1. */
  readonly what: number;
  readonly whom: number;
  readonly moment: number;
  readonly length: number;
  readonly variant: number;
  readonly detail: number;
}

export function drawFrom(random: () => number): Draw {
  return {
    what: random(),
    whom: random(),
    moment: random(),
    length: random(),
    variant: random(),
    detail: random(),
  };
}

export function pick<T>(from: readonly T[], at: number): T {
  const one = from[Math.floor(at * from.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}

/** Mostly short, now and then up to the longest. */
export function lengthMs(at: number, shortest: number, longest: number): number {
  return Math.round(shortest + at ** 3 * (longest - shortest));
}
