// A run in five parts of the same length. The first warms up; the second and the last are compared.
import { mean, quantile } from "../../bench/statistics.js";
import type { Sample, SoakRun } from "./samples.js";

export interface Parts {
  readonly early: readonly Sample[];
  readonly late: readonly Sample[];
  /** All but the first. */
  readonly judged: readonly Sample[];
}

export function partsOf({ about, samples }: SoakRun): Parts {
  const fifthS = (about.minutes * 60) / 5;
  const between = (from: number, to: number) => samples.filter(({ atS }) => atS > from * fifthS && atS <= to * fifthS);
  return {
    early: between(1, 2),
    late: between(4, Number.POSITIVE_INFINITY),
    judged: between(1, Number.POSITIVE_INFINITY),
  };
}

export type Reading = (sample: Sample) => number | null | undefined;

export type Middle = "median" | "mean" | "low";

/** Null when there is no such reading. */
export function middle(samples: readonly Sample[], of: Reading, how: Middle = "median"): number | null {
  const all = readings(samples, of);
  if (all.length === 0) return null;
  return how === "mean" ? mean(all) : quantile(all, how === "low" ? 0.1 : 0.5);
}

export function largest(samples: readonly Sample[], of: Reading): number | null {
  const all = readings(samples, of);
  return all.length === 0 ? null : all.reduce((most, value) => Math.max(most, value));
}

function readings(samples: readonly Sample[], of: Reading): number[] {
  return samples.map(of).filter((value) => value !== null && value !== undefined);
}
