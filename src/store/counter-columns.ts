import {
  type CounterTexts,
  lossCounters,
  type PrefixStats,
  plainCounters,
  prefixCounters,
  type TallyStats,
  takeoverCounters,
} from "./counts.js";

/** A counter in the database. */
export interface CounterColumn {
  /** The column in `leasehold.counters` and `leasehold.stats`, or the field of what they keep for a prefix. */
  readonly column: string;
  /** Its comment. */
  readonly text: string;
}

export const counterColumns: readonly CounterColumn[] = [
  ...columns(plainCounters),
  ...columns(lossCounters, "lost"),
  ...columns(takeoverCounters, "taken_over"),
];

export const prefixCounterColumns: readonly CounterColumn[] = columns(prefixCounters);

/** The numbers of `counterColumns`. */
export function countsByColumn(counts: TallyStats): Record<string, number> {
  return {
    ...byColumn(plainCounters, counts),
    ...byColumn(lossCounters, counts.lost, "lost"),
    ...byColumn(takeoverCounters, counts.takenOver, "taken_over"),
  };
}

/** The numbers of `prefixCounterColumns`. */
export function prefixCountsByColumn(counts: PrefixStats): Record<string, number> {
  return byColumn(prefixCounters, counts);
}

function columns<Name extends string>(counters: CounterTexts<Name>, group?: string): CounterColumn[] {
  return namesOf(counters).map((name) => ({ column: columnOf(name, group), text: counters[name] }));
}

function byColumn<Name extends string>(
  counters: CounterTexts<Name>,
  counts: Readonly<Record<Name, number>>,
  group?: string,
): Record<string, number> {
  return Object.fromEntries(namesOf(counters).map((name) => [columnOf(name, group), counts[name]]));
}

/** `timedOut` is `timed_out`; `max-hold` in the group `lost` is `lost_max_hold`. */
function columnOf(name: string, group?: string): string {
  const column = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll("-", "_");
  return group === undefined ? column : `${group}_${column}`;
}

function namesOf<Name extends string>(counters: CounterTexts<Name>): Name[] {
  return Object.keys(counters) as Name[];
}
