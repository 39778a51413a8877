// The reference for cycles of waiting: written without regard to how the database finds them.
import { expect } from "vitest";

export type Edge = readonly [waiter: number, holder: number];

/** Length of the shortest cycle through each node that is in one. */
export function shortestCycles(edges: readonly Edge[]): Map<number, number> {
  const followers = new Map<number, Set<number>>();
  for (const [waiter, holder] of edges) {
    followers.set(waiter, (followers.get(waiter) ?? new Set()).add(holder));
  }
  const lengths = new Map<number, number>();
  for (const start of followers.keys()) {
    let ring = new Set([start]);
    const seen = new Set<number>();
    for (let length = 1; ring.size > 0; length += 1) {
      ring = new Set([...ring].flatMap((node) => [...(followers.get(node) ?? [])]).filter((node) => !seen.has(node)));
      for (const node of ring) seen.add(node);
      if (ring.has(start)) {
        lengths.set(start, length);
        break;
      }
    }
  }
  return lengths;
}

/** What is promised of cycles that were found: real ones, each once, from the smallest node on, and for each node a shortest one. */
export function expectCycles(found: readonly (readonly number[])[], edges: readonly Edge[]): void {
  const known = new Set(edges.map(([waiter, holder]) => `${waiter} ${holder}`));
  for (const cycle of found) {
    expect(new Set(cycle).size, `${cycle} visits each node once`).toBe(cycle.length);
    expect(cycle[0], `${cycle} begins with its smallest node`).toBe(Math.min(...cycle));
    for (const [place, node] of cycle.entries()) {
      expect(known, `${cycle} follows the edges`).toContain(`${node} ${cycle[(place + 1) % cycle.length]}`);
    }
  }
  expect(new Set(found.map(String)).size, "each cycle once").toBe(found.length);
  const lengths = shortestCycles(edges);
  const covered = new Map<number, number>();
  for (const cycle of found) {
    for (const node of cycle) covered.set(node, Math.min(covered.get(node) ?? cycle.length, cycle.length));
  }
  expect(new Map([...covered].sort(([a], [b]) => a - b)), "for each node the shortest").toEqual(
    new Map([...lengths].sort(([a], [b]) => a - b)),
  );
}
