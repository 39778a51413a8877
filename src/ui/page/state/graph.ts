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
  readonly edges: readonly Edge[];
}

/** Who waits for whom. */
export function waitsOf(store: Store): Waits {
  const names = new Map<string, string>();
  const idOf = (sessionId: unknown, owner: unknown): string => {
    const id = typeof sessionId === "number" ? `session ${sessionId}` : `owner ${String(owner)}`;
    names.set(id, String(owner));
    return id;
  };
  const holders = new Map<string, string[]>();
  for (const { key, state, sessionId, owner } of store.rows("leases").values()) {
    if (state !== "held" && state !== "revoked") continue;
    const all = holders.get(String(key)) ?? [];
    all.push(idOf(sessionId, owner));
    holders.set(String(key), all);
  }
  const stuck = new Set<string>();
  for (const { keys, sessionIds } of store.rows("deadlocks").values()) {
    if (!Array.isArray(keys) || !Array.isArray(sessionIds)) continue;
    for (const [index, key] of keys.entries()) stuck.add(`session ${String(sessionIds[index])} ${String(key)}`);
  }
  const edges: Edge[] = [];
  for (const { key, sessionId, owner, since, isAlive } of store.rows("waits").values()) {
    if (isAlive !== true) continue;
    const from = idOf(sessionId, owner);
    for (const to of holders.get(String(key)) ?? []) {
      edges.push({ from, to, key: String(key), since: Number(since), isStuck: stuck.has(`${from} ${String(key)}`) });
    }
  }
  const used = new Set(edges.flatMap(({ from, to }) => [from, to]));
  for (const id of names.keys()) if (!used.has(id)) names.delete(id);
  // Those that are stuck first, then the longest waits: where there are too many, these are the ones to see.
  edges.sort((a, b) => Number(b.isStuck) - Number(a.isStuck) || a.since - b.since);
  return { names, edges };
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
export function drawn({ names, edges }: Waits, shownName: (name: string) => string): Drawing {
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
