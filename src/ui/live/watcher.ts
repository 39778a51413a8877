import { LeaseholdError, NotMigratedError, NotPermittedError, UnavailableError } from "../../errors/errors.js";
import { monotonicNowMs, startTimer, type Timer } from "../../runtime/clock.js";
import { VERSION } from "../../runtime/version.js";
import type { Point, Trouble } from "../protocol.js";
import type { Reader } from "../reading/reader.js";
import type { Reading } from "../reading/reading.js";
import { State } from "./changes.js";
import { History } from "./history.js";

/** Two looks begin so far apart, and more where a look takes longer than half of it. */
const EVERY_MS = 1_000;
/** After failures looks come later and later, but no later than this: a server's log need not fill with a wrong password. */
const MOST_REST_MS = 10_000;
/** Lockers write their counters every ten seconds. */
const COUNTERS_EVERY = 5;
/** An hour of both. */
const MOST_POINTS = 3_600;
const MOST_STATS = 720;
/** For how long what is known is good enough to be told first, when somebody looks again. */
const LINGER_MS = 5_000;

/** One browser. */
export interface Viewer {
  /** An event and its data, as JSON text. Never throws. */
  send(event: "hello" | "state" | "trouble", data: string): void;
  /** Whether the last that was sent has been taken. Else the next state is left out, and a whole one follows later. */
  readonly isReady: boolean;
  /** Goes with its acts; null: it has none. */
  readonly token: string | null;
  /** Nothing more will be sent. */
  end(): void;
}

export interface WatcherOptions {
  readonly reader: Pick<Reader, "read">;
  readonly everyMs?: number | undefined;
  /** JSON text: what those may do who look, if the role may. */
  readonly actsOf: ActsOf;
}

type ActsOf = (isAdmin: boolean, token: string | null) => string;

/** Looks at the database while somebody looks at it: one set of queries a second, however many browsers there are. */
export class Watcher {
  readonly #reader: Pick<Reader, "read">;
  readonly #everyMs: number;
  readonly #actsOf: ActsOf;
  /** Each with whether it has the whole state. */
  readonly #viewers = new Map<Viewer, boolean>();
  readonly #history = new History();
  readonly #points: Point[] = [];
  readonly #stats: string[] = [];
  readonly #state = new State();
  /** Null while nobody has looked for a while: what is known is too old to be told. */
  #last: Reading | null = null;
  /** What those are told who know nothing yet, until the next look. Of thousands of rows it is megabytes. */
  #whole: string | null = null;
  #isAdmin = false;
  #hello: string | null = null;
  #trouble: string | null = null;
  /** Of the next look. */
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #looks = 0;
  /** One after the other. */
  #failures = 0;
  /** When the last look began. */
  #lookedMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor({ reader, everyMs = EVERY_MS, actsOf }: WatcherOptions) {
    this.#reader = reader;
    this.#everyMs = everyMs;
    this.#actsOf = actsOf;
  }

  /** How often it has looked. */
  get looks(): number {
    return this.#looks;
  }

  /** Returns a function that ends it. */
  add(viewer: Viewer): () => void {
    if (this.#isClosed) {
      viewer.end();
      return () => undefined;
    }
    this.#viewers.set(viewer, false);
    if (this.#trouble !== null) {
      viewer.send("trouble", this.#trouble);
    } else {
      this.#greet(viewer);
    }
    if (this.#viewers.size === 1 && this.#looking === null) {
      this.#lookIn(Math.max(0, this.#everyMs - (monotonicNowMs() - this.#lookedMs)));
    }
    return () => {
      this.#viewers.delete(viewer);
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
    for (const viewer of this.#viewers.keys()) {
      viewer.end();
    }
    this.#viewers.clear();
  }

  #lookIn(ms: number): void {
    if (this.#isClosed) {
      return;
    }
    this.#timer?.cancel();
    this.#timer = startTimer(ms, () => {
      if (this.#viewers.size > 0) {
        this.#looking = this.#look();
      } else {
        this.#last = null;
        this.#whole = null;
        this.#trouble = null; // it may be over long before somebody looks again
      }
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const withCounters = this.#looks % COUNTERS_EVERY === 0 || this.#last === null;
    this.#lookedMs = monotonicNowMs();
    try {
      this.#take(await this.#reader.read(withCounters));
      this.#failures = 0;
    } catch (error) {
      this.#tell(error);
      this.#failures += 1;
    }
    this.#looks += 1;
    this.#looking = null;
    const tookMs = monotonicNowMs() - this.#lookedMs;
    const restMs = Math.max(this.#everyMs - tookMs, tookMs);
    const patienceMs = this.#failures === 0 ? 0 : Math.min(this.#everyMs * 2 ** (this.#failures - 1), MOST_REST_MS);
    this.#lookIn(this.#viewers.size === 0 ? LINGER_MS : Math.max(restMs, patienceMs));
  }

  #take(reading: Reading): void {
    const before = this.#state.rowsOf("leases");
    const last = this.#last;
    this.#whole = null;
    const changes = this.#state.take(reading);
    const isCut = reading.cut.has("leases") || last?.cut.has("leases") === true;
    const events =
      last === null
        ? []
        : this.#history.compare(
            before,
            this.#state.rowsOf("leases"),
            reading.atMs,
            isCut ? last.atMs : Number.NEGATIVE_INFINITY,
          );
    const { leases, waits, sessions } = reading.sections;
    const point: Point = [reading.atMs, heldIn(leases), waits?.size ?? 0, sessions?.size ?? 0];
    keep(this.#points, point, MOST_POINTS);
    const stat = reading.stats === null ? null : `[${reading.atMs},${reading.stats.slice(1)}`;
    if (stat !== null) {
      keep(this.#stats, stat, MOST_STATS);
    }
    this.#last = reading;
    this.#isAdmin = reading.isAdmin ?? this.#isAdmin;
    this.#trouble = null;
    const hello = this.#helloOf(reading);
    const isNews = hello !== this.#hello;
    this.#hello = hello;

    const delta = message(reading, false, changes ?? "{}", [point], stat === null ? [] : [stat], events);
    for (const [viewer, hasAll] of this.#viewers) {
      if (!hasAll || isNews) {
        this.#viewers.set(viewer, false);
        this.#greet(viewer);
      } else if (viewer.isReady) {
        viewer.send("state", delta);
      } else {
        this.#viewers.set(viewer, false);
      }
    }
  }

  #greet(viewer: Viewer): void {
    if (this.#last === null || this.#hello === null || !viewer.isReady) {
      return;
    }
    viewer.send("hello", `${this.#hello},"acts":${this.#actsOf(this.#isAdmin, viewer.token)}}`);
    this.#whole ??= message(this.#last, true, this.#state.whole(), this.#points, this.#stats, this.#history.events);
    viewer.send("state", this.#whole);
    this.#viewers.set(viewer, true);
  }

  /** JSON text without its end, which differs by who is greeted. */
  #helloOf({ hello }: Reading): string {
    return JSON.stringify({ version: VERSION, ...hello, isAdmin: this.#isAdmin }).slice(0, -1);
  }

  #tell(error: unknown): void {
    this.#last = null;
    this.#trouble = JSON.stringify(troubleOf(error));
    for (const viewer of this.#viewers.keys()) {
      if (viewer.isReady) {
        viewer.send("trouble", this.#trouble);
      }
      this.#viewers.set(viewer, false);
    }
  }
}

function message(
  { atMs, tookMs }: Reading,
  isWhole: boolean,
  changes: string,
  points: readonly Point[],
  stats: readonly string[],
  events: readonly unknown[],
): string {
  const parts = [JSON.stringify(points), `[${stats.join(",")}]`, JSON.stringify(events)];
  return `{"isWhole":${isWhole},"at":${atMs},"readMs":${Math.round(tookMs)},"changes":${changes},"points":${parts[0]},"stats":${parts[1]},"events":${parts[2]}}`;
}

function keep<Item>(items: Item[], item: Item, most: number): void {
  items.push(item);
  if (items.length > most) {
    items.splice(0, items.length - most);
  }
}

/** Without what has ended or waits for nothing but its row. */
function heldIn(leases: ReadonlyMap<string, string> = new Map()): number {
  let held = 0;
  for (const row of leases.values()) {
    held += /^\[(?:"(?:[^"\\]|\\.)*"), "(?:held|revoked)"/.test(row) ? 1 : 0;
  }
  return held;
}

export function troubleOf(error: unknown): Trouble {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof NotPermittedError) {
    return { kind: "no-rights", message, statement: error.statement };
  }
  if (error instanceof NotMigratedError) {
    return { kind: "not-migrated", message, statement: null };
  }
  const kind = error instanceof UnavailableError ? "disconnected" : "other";
  return {
    kind,
    message: error instanceof LeaseholdError ? message : `It cannot be read: ${message}`,
    statement: null,
  };
}
