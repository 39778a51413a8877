import type { Crew, Window } from "../crew.js";
import type { Entrants } from "../entrants.js";
import type { Row } from "../results.js";
import { median } from "../statistics.js";

export interface Scale {
  readonly isQuick: boolean;
  /** All take turns in windows of this length, so that a slow moment of the machine hits all. */
  readonly windowMs: number;
  readonly rounds: number;
  /** Rounds that a new process needs until its code is compiled, and it gets no faster any more. */
  readonly coldRounds: number;
}

export interface Workload {
  readonly name: string;
  readonly about: string;
  run(entrants: Entrants, scale: Scale, report: (rows: readonly Row[]) => void): Promise<void>;
}

export const fullScale: Scale = { isQuick: false, windowMs: 500, rounds: 6, coldRounds: 6 };
export const quickScale: Scale = { isQuick: true, windowMs: 150, rounds: 3, coldRounds: 4 };

/**
 * Runs `measure` for each in turns. First come rounds of negative numbers, which warm up and are thrown away. One is enough for a
 * process that has run something like it; a new one needs `coldRounds`.
 */
export async function inTurns<Of, Result>(
  all: readonly Of[],
  rounds: number,
  measure: (one: Of, round: number) => Promise<Result>,
  warmUps = 1,
): Promise<Result[][]> {
  const results = all.map((): Result[] => []);
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const [index, one] of all.entries()) {
      const result = await measure(one, round);
      if (round >= 0) results[index]?.push(result);
    }
  }
  return results;
}

/** Rows of cycles a second, with what a cycle takes of the processor. */
export async function measureRates(
  workload: string,
  of: string,
  crews: readonly Crew[],
  rounds: number,
  window: (crew: Crew) => Promise<Window>,
  warmUps = 1,
): Promise<Row[]> {
  const results = await inTurns(crews, rounds, window, warmUps);
  return crews.map((crew, index) => toRow(workload, of, crew.name, results[index] ?? []));
}

export function toRow(workload: string, of: string, contender: string, windows: readonly Window[]): Row {
  return {
    workload,
    case: of,
    contender,
    unit: "cycles/s",
    isMoreBetter: true,
    samples: windows.map(({ rate }) => rate),
    also: {
      "client µs": median(windows.map(({ clientUs }) => clientUs)),
      "server µs": median(windows.map(({ serverUs }) => serverUs)),
    },
  };
}
