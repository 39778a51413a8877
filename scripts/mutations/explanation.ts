/** Why faults that a program has made are noticed by no test. */
export interface Explanation {
  /** Those that the same reason explains, by `id`. */
  readonly ids: readonly string[];
  readonly why: string;
}

export function byId(explanations: readonly Explanation[]): ReadonlyMap<string, string> {
  return new Map(explanations.flatMap(({ ids, why }) => ids.map((id) => [id, why] as const)));
}
