import type { ConnectionTarget } from "../../config/connection-url.js";
import { CONNECT_TIMEOUT_MS } from "../../config/resolve-options.js";
import { NotPermittedError } from "../../errors/errors.js";
import { quoteLiteral } from "../../runtime/quote.js";
import { withTimeout } from "../../runtime/timeout.js";
import { type ConnectOptions, connect, type Hello, HostList, ownTransactionSettings } from "./connect.js";
import type { Link, Parameter, Row } from "./link.js";
import { sqlState, toPublicError } from "./server-errors.js";

const ANSWER_MS = 30_000;

/** One of the rights that `leasehold.grant_...` gives. */
export type Right = "usage" | "monitoring" | "admin";

export interface QueriesOptions extends Pick<ConnectOptions, "applicationName" | "trustsOwners" | "acceptsMissing"> {
  readonly target: ConnectionTarget;
  /** Aborts the attempt to connect. */
  readonly signal?: AbortSignal;
}

/** One connection for what people ask: the command line, the inspector. Each query is a transaction, for there may be a pooler in between. */
export class Queries {
  readonly #link: Link;
  readonly hello: Hello;

  private constructor(link: Link, hello: Hello) {
    this.#link = link;
    this.hello = hello;
  }

  /** @throws UnavailableError, UnsafeBackendError, NotMigratedError */
  static async open({ target, signal, ...options }: QueriesOptions): Promise<Queries> {
    try {
      const { link, hello } = await connect({
        hosts: new HostList(target),
        connectTimeoutMs: target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        prepare: false,
        settings: ownTransactionSettings,
        acceptsStandby: true,
        acceptsOld: true,
        ...options,
        signal: signal ?? null,
      });
      return new Queries(link, hello);
    } catch (error) {
      throw toPublicError(error, { wasSent: false, role: "" });
    }
  }

  /** `right`: what a role needs for this. @throws NotPermittedError, which names the line that gives it */
  async query(text: string, parameters: readonly Parameter[] = [], right: Right = "usage"): Promise<readonly Row[]> {
    const [rows] = await this.#inTransaction("read committed", [[text, parameters]], right);
    return rows ?? [];
  }

  /** Several queries that see one state. */
  readTogether(texts: readonly string[], right: Right): Promise<readonly (readonly Row[])[]> {
    const statements = texts.map((text): [string, readonly Parameter[]] => [text, []]);
    return this.#inTransaction("repeatable read read only", statements, right);
  }

  async close(): Promise<void> {
    await this.#link.end();
  }

  /** What the role has as its defaults would be refused by functions such as leasehold.check, hence the isolation level. */
  async #inTransaction(
    mode: string,
    statements: readonly [text: string, parameters: readonly Parameter[]][],
    right: Right,
  ): Promise<readonly (readonly Row[])[]> {
    // A link keeps statements in order, so nothing comes in between. The commit also ends a failed transaction.
    const answers = Promise.all([
      this.#link.query([`begin isolation level ${mode}`, ...ownTransactionSettings].join("; ")),
      ...statements.map(([text, parameters]) => this.#link.query(text, parameters)),
      this.#link.query("commit"),
    ]);
    try {
      return (await withTimeout(answers, ANSWER_MS, () => this.#link.destroy())).slice(1, -1);
    } catch (error) {
      const { role } = this.hello;
      if (sqlState(error) !== "42501") {
        throw toPublicError(error, { wasSent: true, role });
      }
      const statement = `select leasehold.grant_${right}(${quoteLiteral(role)});`;
      throw new NotPermittedError({ statement, role, cause: error });
    }
  }
}
