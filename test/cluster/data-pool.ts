// The application's own connections, for its guarded transactions.
import pg from "pg";

/** A client that is asked by this time gives up: the library's limits are for its own statements, not for those of its user. */
const QUERY_TIMEOUT_MS = 10_000;

/** Pools of the hosts of an address; the first host that accepts writes is used, as `target_session_attrs=read-write` says. */
export class DataPool {
  readonly #pools: readonly pg.Pool[];
  #current: pg.Pool | undefined;

  constructor(url: string) {
    this.#pools = addressesOf(url).map((connectionString) => {
      const pool = new pg.Pool({
        connectionString,
        max: 4,
        connectionTimeoutMillis: 2_000,
        query_timeout: QUERY_TIMEOUT_MS,
      });
      pool.on("error", () => {});
      pool.on("connect", (client) => client.on("error", () => {}));
      return pool;
    });
  }

  /** @throws {Error} when no host accepts writes */
  async primary(): Promise<pg.Pool> {
    if (this.#current) return this.#current;
    for (const pool of this.#pools) {
      const answer = await pool.query("select pg_is_in_recovery() as standby").catch(() => null);
      if (answer?.rows[0]?.standby === false) {
        this.#current = pool;
        return pool;
      }
    }
    throw new Error("no host accepts writes");
  }

  /** Something failed: looks for the primary again. */
  forget(): void {
    this.#current = undefined;
  }

  async end(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
  }
}

function addressesOf(url: string): readonly string[] {
  const [, login = "", hosts = "", database = ""] = /^(postgres:\/\/[^@]*@)([^/]*)\/([^?]*)/.exec(url) ?? [];
  return hosts.split(",").map((host) => `${login}${host}/${database}`);
}
