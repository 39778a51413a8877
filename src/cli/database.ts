import { NotPermittedError } from "../errors.js";
import { type ConnectOptions, connect, type Hello, HostList, ownTransactionSettings } from "../postgres/connect.js";
import type { Link, Parameter, Row } from "../postgres/link.js";
import { quoteLiteral } from "../postgres/quote.js";
import { sqlState, toPublicError } from "../postgres/server-errors.js";
import { withTimeout } from "../timeout.js";
import type { Arguments } from "./arguments.js";
import { describeTarget, directTarget, findPlace, type Place } from "./place.js";

const DEFAULT_CONNECT_MS = 5_000;
const ANSWER_MS = 30_000;

export type Right = "usage" | "monitoring" | "admin";

type Precautions = Pick<ConnectOptions, "trustsOwners" | "acceptsMissing">;

/** One connection, to ask and to show. */
export class Database {
  readonly #link: Link;
  readonly hello: Hello;
  readonly place: Place;
  /** For people: where and as whom. */
  readonly name: string;

  private constructor(link: Link, hello: Hello, place: Place, name: string) {
    this.#link = link;
    this.hello = hello;
    this.place = place;
    this.name = name;
  }

  /** @throws UnavailableError, UnsafeBackendError, NoAddressError */
  static async open(args: Arguments, how: Precautions = {}): Promise<Database> {
    const place = await findPlace(args);
    try {
      const target = directTarget(place);
      const { link, hello } = await connect({
        hosts: new HostList(target),
        applicationName: "leasehold command line",
        connectTimeoutMs: target.connectTimeoutMs ?? DEFAULT_CONNECT_MS,
        // There may be a transaction pooler in between.
        prepare: false,
        settings: ownTransactionSettings,
        acceptsStandby: true,
        ...how,
        signal: null,
      });
      return new Database(link, hello, place, describeTarget(target));
    } catch (error) {
      await place.close();
      throw toPublicError(error, { wasSent: false, role: "" });
    }
  }

  /** `right`: what a role needs for this, of those that `leasehold.grant_...` gives. */
  async query(text: string, parameters: readonly Parameter[] = [], right: Right = "usage"): Promise<readonly Row[]> {
    try {
      return await withTimeout(this.#inTransaction(text, parameters), ANSWER_MS, () => this.#link.destroy());
    } catch (error) {
      const { role } = this.hello;
      if (sqlState(error) !== "42501") throw toPublicError(error, { wasSent: true, role });
      const statement = `select leasehold.grant_${right}(${quoteLiteral(role)});`;
      throw new NotPermittedError({ statement, role, cause: error });
    }
  }

  /** A link keeps the order: nothing comes in between. The commit also ends a transaction that failed. */
  async #inTransaction(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    const [, rows] = await Promise.all([
      this.#link.query(["begin", ...ownTransactionSettings].join("; ")),
      this.#link.query(text, parameters),
      this.#link.query("commit"),
    ]);
    return rows;
  }

  async close(): Promise<void> {
    await this.#link.end();
    await this.place.close();
  }
}

/**
 * Opens the database for the length of the body. `trustsOwners`: the body itself looks whose the schemas are. `acceptsMissing`: it
 * calls nothing in them where `hello.hasSchemas` is false.
 */
export async function withDatabase<Value>(
  args: Arguments,
  body: (database: Database) => Promise<Value>,
  how: Precautions = {},
): Promise<Value> {
  const database = await Database.open(args, how);
  try {
    return await body(database);
  } finally {
    await database.close();
  }
}
