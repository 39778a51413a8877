import type { ConnectionTarget } from "../../config/connection-url.js";
import { ClosedError } from "../../errors/errors.js";
import type { Row } from "../../postgres/connection/link.js";
import { Queries } from "../../postgres/connection/queries.js";
import { monotonicNowMs, startTimer, type Timer } from "../../runtime/clock.js";
import { prefixColumns, type Section, statColumns } from "../protocol.js";
import {
  BLOCKERS,
  CHECK,
  DEADLOCKS,
  EXPIRED,
  HOT_KEYS,
  LEASES,
  NOW,
  PREFIXES,
  SESSIONS,
  STATS,
  TOTALS,
  WAITS,
} from "./queries.js";
import type { Reading, Rows, Totals, Values } from "./reading.js";

/** What has no more than a few rows by itself. */
const FEW = 1_000;
const MOST_PREFIXES = 1_000;
const IDLE_MS = 30_000;

export interface ReaderOptions {
  readonly target: () => ConnectionTarget;
  /** Rows of each kind that are read at most. */
  readonly maxRows: number;
  /** How long a connection is kept that nobody needs. Default 30,000. */
  readonly idleMs?: number;
}

/** Reads the views, over one connection that is made when it is needed, and closed when it has not been for a while. */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #fast: readonly string[];
  readonly #slow: readonly string[];
  readonly #closed = new AbortController();
  #queries: Promise<Queries> | null = null;
  #calls = 0;
  /** Until the connection is closed. */
  #idle: Timer | null = null;

  constructor(options: ReaderOptions) {
    const most = options.maxRows + 1;
    this.#options = options;
    this.#fast = [NOW, LEASES(most), EXPIRED(most), WAITS(most), SESSIONS(most), DEADLOCKS(FEW)];
    this.#slow = [STATS, HOT_KEYS(FEW), PREFIXES(FEW)];
  }

  /** `withCounters`: also what is written every ten seconds at most. @throws LeaseholdError */
  async read(withCounters: boolean): Promise<Reading> {
    return await this.#using(async (queries) => {
      const startedMs = monotonicNowMs();
      const texts = withCounters ? [...this.#fast, ...this.#slow] : this.#fast;
      const [now, leases, expired, waits, sessions, deadlocks, stats, hotKeys, prefixes] = await queries.readTogether(
        texts,
        "monitoring",
      );
      const cut = new Set<Section>();
      const { maxRows } = this.#options;
      const first = (section: Section, rows: readonly Row[] = []): Rows => {
        if (rows.length > maxRows) {
          cut.add(section);
        }
        return toRows(rows.slice(0, maxRows));
      };
      const found = {
        leases: first("leases", [...(leases ?? []), ...(expired ?? [])]),
        waits: first("waits", waits),
        sessions: first("sessions", sessions),
        deadlocks: toRows(deadlocks ?? []),
      };
      const { hello } = queries;
      const isStandby = now?.[0]?.standby === true;
      return {
        hello: {
          database: hello.database,
          role: hello.role,
          serverVersion: hello.serverVersion,
          isStandby,
        },
        // nothing can be done on a standby
        isAdmin: stats?.[0] === undefined ? null : stats[0].admin === true && !isStandby,
        atMs: Number(now?.[0]?.now),
        sections: {
          ...found,
          blockers: await this.#blockersOf(queries, [...(leases ?? []), ...(waits ?? [])]),
          ...(hotKeys && { hotKeys: toRows(hotKeys) }),
          ...(prefixes && { prefixes: toRows(prefixes) }),
        },
        cut,
        stats: stats?.[0] === undefined ? null : String(stats[0].row),
        tookMs: monotonicNowMs() - startedMs,
      };
    });
  }

  /** All that Prometheus is told. @throws LeaseholdError */
  async totals(): Promise<Totals> {
    return await this.#using(async (queries) => {
      const startedMs = monotonicNowMs();
      const texts = [NOW, TOTALS, STATS, PREFIXES(MOST_PREFIXES)];
      const [now, totals, stats, prefixes] = await queries.readTogether(texts, "monitoring");
      return {
        atMs: Number(now?.[0]?.now),
        tookMs: monotonicNowMs() - startedMs,
        now: JSON.parse(String(totals?.[0]?.row)) as Totals["now"],
        counters: named(statColumns, stats?.[0]?.row),
        prefixes: (prefixes ?? []).map(({ row }) => named(prefixColumns, row)),
      };
    });
  }

  /** JSON text: a key, also one that no view can show. @throws LeaseholdError */
  async check(key: string): Promise<string> {
    return await this.#using(async (queries) => String((await queries.query(CHECK, [key], "monitoring"))[0]?.row));
  }

  /** What is on its way ends within a second, and nothing is asked any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    this.#idle?.cancel();
    const queries = this.#queries;
    this.#queries = null;
    await (await queries?.catch(() => null))?.close();
  }

  async #using<Value>(work: (queries: Queries) => Promise<Value>): Promise<Value> {
    const { signal } = this.#closed;
    if (signal.aborted) {
      throw new ClosedError({ message: "This inspector is closed." });
    }
    this.#queries ??= Queries.open({ target: this.#options.target(), applicationName: "leasehold inspector", signal });
    const opening = this.#queries;
    this.#calls += 1;
    this.#idle?.cancel();
    try {
      return await work(await opening);
    } catch (error) {
      // Whatever it was, the next call asks on a new connection: rights and schemas are looked at when one is made.
      if (this.#queries === opening) {
        await this.#disconnect();
      }
      throw error;
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0 && this.#queries !== null) {
        this.#idle = startTimer(this.#options.idleMs ?? IDLE_MS, () => void this.#disconnect());
      }
    }
  }

  async #blockersOf(queries: Queries, rows: readonly Row[]): Promise<Rows> {
    const pids = new Set(rows.flatMap(({ blocker }) => (typeof blocker === "number" ? [blocker] : [])));
    return pids.size === 0
      ? new Map()
      : toRows(await queries.query(BLOCKERS, [`{${[...pids].join(",")}}`], "monitoring"));
  }
}

function named(columns: readonly string[], row: unknown): Values {
  const values = JSON.parse(String(row)) as readonly unknown[];
  return Object.fromEntries(columns.map((name, index) => [name, values[index]]));
}

function toRows(rows: readonly Row[]): Rows {
  return new Map(rows.map(({ id, row }) => [String(id), String(row)]));
}
