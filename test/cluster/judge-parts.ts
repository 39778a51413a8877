import type { Grant } from "./history.js";

/** Which promotion the server had gone through that drew this fence. */
export function epochOf({ fence }: Pick<Grant, "fence">): bigint {
  return fence >> 48n;
}

export function nameOf({ key, fence, worker }: Grant): string {
  return `${key} with fence ${fence} of ${worker}`;
}

export function groupBy<T>(all: readonly T[], of: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(of(one));
    if (group === undefined) groups.set(of(one), [one]);
    else group.push(one);
  }
  return groups;
}
