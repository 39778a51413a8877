import { createHash } from "node:crypto";
import { connectionsOf } from "../../guard/exhausted.js";
import type { NodePostgresPool } from "../../guard/node-postgres.js";
import { now } from "../../runtime/clock.js";
import { RequestTimeout, withTimeout } from "../../runtime/timeout.js";
import { allBusy, untilBusyMs } from "./busy.js";
import { type Answer, ClientEnded, NotSent } from "./lane.js";
import type { Parameter, Row } from "./link.js";
import { LinkClosed } from "./link-closed.js";
import { readingTypes } from "./pool-types.js";
import { sqlState } from "./server-errors.js";

interface Query {
  readonly name?: string;
  readonly text: string;
  readonly values: readonly Parameter[];
  readonly types: object;
}

interface Client extends NodeJS.EventEmitter {
  query(query: Query): Promise<{ readonly rows: readonly Row[] }>;
  release(destroy: boolean): void;
}

interface Pool {
  connect(): Promise<Client>;
  readonly totalCount: number;
  readonly idleCount: number;
  readonly ending?: boolean;
}

export interface GivenPoolOptions {
  readonly timeoutMs: number;
  /** Whether the pool is known to lead to the server without a pooler in between, so that statements may be prepared. */
  readonly isDirect: () => boolean;
}

const ignore = (): void => undefined;

/**
 * Over a Pool of node-postgres. Each statement takes a connection of it and gives it back; one without an answer is destroyed,
 * for the statement behind it would wait as well.
 */
export class GivenPool {
  readonly #pool: Pool;
  readonly #connections: number;
  readonly #options: GivenPoolOptions;
  readonly #names = new Map<string, string>();
  #mayPrepare = true;

  constructor(pool: NodePostgresPool, options: GivenPoolOptions) {
    this.#pool = pool as unknown as Pool;
    this.#connections = connectionsOf(pool);
    this.#options = options;
  }

  async query(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const { timeoutMs } = this.#options;
    const beganAt = now();
    const client = await this.#checkOut();
    client.on("error", ignore); // without a listener, the loss of a connection in use ends the process
    let isBroken = true;
    try {
      const sentAt = now();
      const leftMs = Math.max(1, timeoutMs - (sentAt.monotonicMs - beganAt.monotonicMs));
      const rows = await withTimeout(this.#send(client, text, parameters), leftMs);
      isBroken = false;
      return { rows, sentAt, receivedAt: now() };
    } catch (error) {
      isBroken = !leavesConnection(error);
      throw sqlState(error) !== null || error instanceof RequestTimeout || !(error instanceof Error)
        ? error
        : new LinkClosed(error.message, { cause: error });
    } finally {
      if (!isBroken) client.off("error", ignore);
      client.release(isBroken);
    }
  }

  async #checkOut(): Promise<Client> {
    const ms = untilBusyMs(this.#options.timeoutMs);
    if (this.#pool.ending === true)
      throw new NotSent("not connected", { cause: new ClientEnded("the pool was ended") });
    const connecting = this.#pool.connect();
    try {
      return await withTimeout(connecting, ms);
    } catch (cause) {
      if (cause instanceof RequestTimeout) connecting.then((late) => late.release(false), ignore);
      const isServers = sqlState(cause) !== null; // it refused the login
      if (!isServers && this.#pool.totalCount >= this.#connections && this.#pool.idleCount === 0) {
        // A RequestTimeout as its cause would be taken for a statement without an answer.
        const why = cause instanceof RequestTimeout ? {} : { cause };
        throw allBusy({ connections: this.#connections, ms, outcome: "not-sent", ...why });
      }
      throw new NotSent("not connected", { cause });
    }
  }

  async #send(client: Client, text: string, values: readonly Parameter[]): Promise<readonly Row[]> {
    const query = { text, values, types: readingTypes };
    if (!this.#mayPrepare || values.length === 0 || !this.#options.isDirect()) return (await client.query(query)).rows;
    try {
      return (await client.query({ ...query, name: this.#nameOf(text) })).rows;
    } catch (error) {
      if (!isNotPrepared(error)) throw error;
      this.#mayPrepare = false;
      return (await client.query(query)).rows;
    }
  }

  /** Of the text alone: another copy of this library may have other texts, on the same connections. */
  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `leasehold_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
      this.#names.set(text, name);
    }
    return name;
  }
}

/** Whether a statement can follow on the connection: the server has answered, and did not close it. */
function leavesConnection(error: unknown): boolean {
  const { severity } = error as { severity?: unknown };
  return sqlState(error) !== null && severity !== "FATAL" && severity !== "PANIC";
}

/**
 * The prepared statement is missing (26000), is another's (42P05), or gives other columns since a migration (0A000). The server
 * has not run it then. A pooler that nobody found is one reason, `discard all` in the application another.
 */
function isNotPrepared(error: unknown): boolean {
  const { routine } = error as { routine?: unknown };
  const state = sqlState(error);
  return state === "26000" || state === "42P05" || (state === "0A000" && routine === "RevalidateCachedQuery");
}
