// Generated faults in SQL that no test can notice, or need not: each with the reason. The command tells only of others.

export interface Explanation {
  /** Those that the same reason explains, by `id`. */
  readonly ids: readonly string[];
  readonly why: string;
}

export const explanations: readonly Explanation[] = [];

export const explained: ReadonlyMap<string, string> = new Map(
  explanations.flatMap(({ ids, why }) => ids.map((id) => [id, why] as const)),
);
