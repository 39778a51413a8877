import { graphlib, layout } from "@dagrejs/dagre";
import type { Store } from "./store.js";

/** Somebody who waits for a key, and somebody who has it. */
export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly key: string;
  readonly since: number;
  /** Part of a deadlock. */
  readonly isStuck: boolean;
}

export interface Waits {
  /** What those who wait or hold are called, by their session, or by their name where they have none. */
  readonly names: ReadonlyMap<string, string>;
  /** Those that are stuck first, then the longest waits: no more than can be read in a drawing. */
  readonly edges: readonly Edge[];
  /** How many there are. */
  readonly total: number;
}

export const MOST_EDGES = 100;

/** Who waits for whom. Each who waits for a key waits for each who shares it, so there may be millions: all are counted, few are made. */
export function waitsOf(store: Store): Waits {
  const holders = new Map<string, Map<string, string>>();
  for (const { key, state, sessionId, owner } of store.rows("leases").values()) {
    if (state !== "held" && state !== "revoked") continue;
    const all = holders.get(String(key)) ?? new Map<string, string>();
    holders.set(String(key), all.set(idOf(sessionId, owner), String(owner)));
  }
  const stuck = new Map<string, Set<string>>();
  for (const { keys, sessionIds } of store.rows("deadlocks").values()) {
    if (!Array.isArray(keys) || !Array.isArray(sessionIds)) continue;
    for (const [index, key] of keys.entries()) {
      const id = waitId(`session ${String(sessionIds[index])}`, String(key));
      const next = `session ${String(sessionIds[(index + 1) % sessionIds.length])}`;
      stuck.set(id, (stuck.get(id) ?? new Set()).add(next));
    }
  }
  // One process may wait for a key more than once
  const waits = new Map<string, { from: string; name: string; key: string; since: number }>();
  let total = 0;
  for (const { key, sessionId, owner, since, isAlive } of store.rows("waits").values()) {
    const there = holders.get(String(key))?.size ?? 0;
    if (isAlive !== true || there === 0) continue;
    const from = idOf(sessionId, owner);
    const id = waitId(from, String(key));
    const before = waits.get(id);
    if (before === undefined) total += there;
    if (before === undefined || Number(since) < before.since) {
      waits.set(id, { from, name: String(owner), key: String(key), since: Number(since) });
    }
  }
  const names = new Map<string, string>();
  const edges: Edge[] = [];
  const ordered = [...waits].sort(([, a], [, b]) => a.since - b.since);
  for (const isStuck of [true, false]) {
    for (const [id, { from, name, key, since }] of ordered) {
      if (edges.length >= MOST_EDGES) break;
      const inCycle = stuck.get(id);
      if (isStuck && inCycle === undefined) continue;
      for (const [to, holder] of holders.get(key) ?? []) {
        if (edges.length >= MOST_EDGES) break;
        if ((inCycle?.has(to) ?? false) !== isStuck) continue;
        edges.push({ from, to, key, since, isStuck });
        names.set(from, name).set(to, holder);
      }
    }
  }
  return { names, edges, total };
}

function idOf(sessionId: unknown, owner: unknown): string {
  return typeof sessionId === "number" ? `session ${sessionId}` : `owner ${String(owner)}`;
}

function waitId(from: string, key: string): string {
  return JSON.stringify([from, key]);
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly { readonly id: string; readonly x: number; readonly y: number; readonly width: number }[];
  readonly lines: readonly {
    readonly edge: Edge;
    readonly points: readonly { readonly x: number; readonly y: number }[];
    /** The middle of its name. */
    readonly x: number;
    readonly y: number;
  }[];
}

export const NODE_HEIGHT = 36;
const CHAR_PX = 7.4;
const LABEL_HEIGHT = 18;
const MOST_CHARS = 28;

/** Places for all, so that what waits is left of what it waits for. */
export function drawn({ names, edges }: Pick<Waits, "names" | "edges">, shownName: (name: string) => string): Drawing {
  const graph = new graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 24, edgesep: 16, ranksep: 60, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, name] of names) {
    const width = Math.min(MOST_CHARS, shownName(name).length) * CHAR_PX + 28;
    graph.setNode(id, { width, height: NODE_HEIGHT });
  }
  for (const edge of edges) {
    const width = Math.min(MOST_CHARS, shownName(edge.key).length) * CHAR_PX;
    graph.setEdge(edge.from, edge.to, { edge, width, height: LABEL_HEIGHT, labelpos: "c" }, edge.key);
  }
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    width,
    height,
    nodes: graph.nodes().map((id: string) => {
      const { x, y, width } = graph.node(id) as { x: number; y: number; width: number };
      return { id, x, y, width };
    }),
    lines: graph
      .edges()
      .map((one: { v: string; w: string; name?: string }) => graph.edge(one) as Drawing["lines"][number]),
  };
}
