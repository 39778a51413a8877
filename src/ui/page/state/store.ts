import {
  type Hello,
  type KeyEvent,
  type Point,
  type Section,
  type StateMessage,
  type StatPoint,
  sections,
  type Trouble,
} from "../../protocol.js";

type Columns<Name extends Section> = (typeof sections)[Name][number];

/** A row as an object. What it holds is checked where it is shown: a database may say anything. */
export type Row<Name extends Section> = { readonly [Column in Columns<Name>]: unknown } & { readonly id: string };

/** `silent`: the server that serves this page does not answer. */
export type Connection = "connecting" | "live" | "silent" | "signed-out";

const MOST_POINTS = 3_600;
const MOST_STATS = 720;
const MOST_EVENTS = 1_000;

/** All that is known of the database, as it was told. Bounded, however long the page is open. */
export class Store {
  connection: Connection = "connecting";
  hello: Hello | null = null;
  trouble: Trouble | null = null;
  /** When it was read, by the server's clock, and how far that is ahead of the browser's. */
  at = 0;
  #aheadMs = 0;
  readMs = 0;
  points: Point[] = [];
  stats: StatPoint[] = [];
  events: KeyEvent[] = [];
  /** Counts what it was told, so that a view knows whether to work anew. */
  version = 0;
  readonly cut = new Set<Section>();
  readonly #rows = new Map<Section, Map<string, Row<Section>>>();
  readonly #listeners = new Set<() => void>();

  /** The server's clock now. */
  get now(): number {
    return Date.now() + this.#aheadMs;
  }

  rows<Name extends Section>(section: Name): ReadonlyMap<string, Row<Name>> {
    return (this.#rows.get(section) ?? new Map()) as ReadonlyMap<string, Row<Name>>;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  connected(connection: Connection): void {
    this.connection = connection;
    this.#told();
  }

  greeted(hello: Hello): void {
    this.hello = hello;
    this.#told();
  }

  troubled(trouble: Trouble): void {
    this.trouble = trouble;
    this.connection = "live";
    this.#told();
  }

  take({ isWhole, at, readMs, changes, points, stats, events }: StateMessage): void {
    if (isWhole) {
      this.#rows.clear();
      this.cut.clear();
      this.points = [];
      this.stats = [];
      this.events = [];
    }
    for (const section of Object.keys(sections) as Section[]) {
      const change = changes[section];
      if (change === undefined) continue;
      const rows = this.#rows.get(section) ?? new Map<string, Row<Section>>();
      this.#rows.set(section, rows);
      for (const id of change.gone) rows.delete(id);
      for (const [id, values] of change.set) rows.set(id, toRow(section, id, values));
      if (change.isCut) this.cut.add(section);
      else this.cut.delete(section);
    }
    append(this.points, points, MOST_POINTS);
    append(this.stats, stats, MOST_STATS);
    append(this.events, events, MOST_EVENTS);
    this.at = at;
    this.#aheadMs = at + readMs - Date.now();
    this.readMs = readMs;
    this.trouble = null;
    this.connection = "live";
    this.#told();
  }

  #told(): void {
    this.version += 1;
    for (const listener of this.#listeners) listener();
  }
}

export function toRow<Name extends Section>(section: Name, id: string, values: readonly unknown[]): Row<Name> {
  const row: Record<string, unknown> = { id };
  for (const [index, column] of sections[section].entries()) row[column] = values[index] ?? null;
  return row as Row<Name>;
}

function append<Item>(all: Item[], more: readonly Item[], most: number): void {
  all.push(...more);
  if (all.length > most) all.splice(0, all.length - most);
}
