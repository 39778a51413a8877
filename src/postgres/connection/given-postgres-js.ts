import type { PostgresJsClient } from "../../api/postgres-client.js";
import { connectionsOf } from "../../guard/exhausted.js";
import { now } from "../../runtime/clock.js";
import { RequestTimeout, withTimeout } from "../../runtime/timeout.js";
import { allBusy, untilBusyMs } from "./busy.js";
import type { Answer } from "./lane.js";
import { ClientEnded, NotSent } from "./lane.js";
import type { Parameter, Row } from "./link.js";
import { LinkClosed } from "./link-closed.js";
import { inOneTrip } from "./postgres-js.js";

/** Codes for a statement that had no connection. */
const neverSent: ReadonlySet<unknown> = new Set([
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
]);

interface Query extends Promise<readonly Row[]> {
  /** The backend that it was sent to. */
  readonly state?: object | null;
}

interface Queryable {
  unsafe(text: string, parameters: readonly Parameter[], options: { prepare: boolean }): Query;
  readonly options: {
    readonly prepare?: boolean;
    readonly transform?: { readonly value?: { readonly from?: unknown } };
  };
}

/** Over a client of postgres.js. A statement without an answer can only be given up: it may still be sent. */
export class GivenPostgresJs {
  readonly #client: Queryable;
  readonly #timeoutMs: number;
  readonly #connections: number;

  constructor(client: PostgresJsClient, timeoutMs: number) {
    this.#client = client as unknown as Queryable;
    this.#timeoutMs = timeoutMs;
    this.#connections = connectionsOf(client);
  }

  async query(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const { options } = this.#client;
    const sentAt = now();
    const query = inOneTrip(this.#client.unsafe(text, [...parameters], { prepare: options.prepare !== false }));
    try {
      const rows = await this.#answer(query);
      const isTransformed = typeof options.transform?.value?.from === "function";
      return { rows: isTransformed ? rows.map(withNulls) : rows, sentAt, receivedAt: now() };
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "CONNECTION_ENDED") {
        throw new NotSent("not connected", { cause: new ClientEnded("the client was ended", { cause: error }) });
      }
      if (error instanceof Error && "code" in error && neverSent.has(error.code)) {
        throw new NotSent("not connected", { cause: error });
      }
      const isServers = error instanceof Error && ("severity" in error || "outcome" in error);
      throw isServers || error instanceof RequestTimeout || !(error instanceof Error)
        ? error
        : new LinkClosed(error.message, { cause: error });
    }
  }

  async #answer(query: Query): Promise<readonly Row[]> {
    const answered = Promise.resolve(query);
    const untilMs = untilBusyMs(this.#timeoutMs);
    try {
      return await withTimeout(answered, untilMs);
    } catch (error) {
      if (!(error instanceof RequestTimeout)) throw error;
      if (!query.state) throw allBusy({ connections: this.#connections, ms: untilMs, outcome: "unknown" });
      return await withTimeout(answered, this.#timeoutMs - untilMs);
    }
  }
}

/** The user's `transform` may have turned null into undefined. */
function withNulls(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? null]));
}
