import type { PostgresClient } from "../../api/postgres-client.js";
import { isPool } from "../../api/postgres-client.js";
import type { ConnectionState } from "../../store/backend-state.js";
import { GivenPool } from "./given-pool.js";
import { GivenPostgresJs } from "./given-postgres-js.js";
import type { Answer, Lane } from "./lane.js";
import type { Parameter } from "./link.js";

/** What sends statements over one kind of client. */
interface Driver {
  /** @throws NotSent, the server's error, LinkClosed, RequestTimeout, or UnavailableError that says why */
  query(text: string, parameters: readonly Parameter[]): Promise<Answer>;
}

export interface GivenLaneInit {
  readonly client: PostgresClient;
  readonly timeoutMs: number;
  /** Whether the client is known to lead to the server without a pooler in between. */
  readonly isDirect: () => boolean;
}

/** The user's own client. It is never ended, and nothing is set on its connections. */
export class GivenLane implements Lane {
  readonly #driver: Driver;
  #inFlight = 0;

  constructor({ client, timeoutMs, isDirect }: GivenLaneInit) {
    this.#driver = isPool(client)
      ? new GivenPool(client, { timeoutMs, isDirect })
      : new GivenPostgresJs(client, timeoutMs);
  }

  async query(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    this.#inFlight += 1;
    try {
      return await this.#driver.query(text, parameters);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Not repeated: that is up to the user's client. */
  read(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    return this.query(text, parameters);
  }

  readonly keepsOrder = false;

  /** A pool may use any of its backends for a statement, so there is no pid. */
  get state(): ConnectionState {
    return { state: "given", pid: null, sinceMs: null, inFlight: this.#inFlight, waiting: 0 };
  }

  async end(): Promise<void> {}
}
