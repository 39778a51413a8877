import type { CounterTexts } from "../../store/counts.js";

/** Each of these counters at zero. */
export function zeros<Name extends string>(counters: CounterTexts<Name>): Record<Name, number> {
  return Object.fromEntries(Object.keys(counters).map((name) => [name, 0])) as Record<Name, number>;
}

/** Adds `others` to `counts`. */
export function addTo<Name extends string>(counts: Record<Name, number>, others: Readonly<Record<Name, number>>): void {
  for (const name in counts) {
    counts[name] += others[name];
  }
}
