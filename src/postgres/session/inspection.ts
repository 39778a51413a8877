import { withTimeout } from "../../runtime/timeout.js";
import { type Hello, seemsDirect } from "../connection/connect.js";
import type { Connections } from "../connection/connections.js";
import type { Made } from "../connection/lane.js";
import type { Link } from "../connection/link.js";
import { refusePooler } from "../connection/pooler-test.js";
import type { Probe } from "../connection/probe.js";
import { checkSchema, SCHEMA_INFO } from "../connection/schema-check.js";
import type { ActiveSession } from "./presence.js";
import type { Inspector } from "./session.js";
import { SEES_SESSION, type SessionCheck } from "./session-check.js";

/** Checks a backend: for a pooler before a session is set up on it, and for the schema before the first session is used. */
export class Inspection implements Inspector {
  readonly #connections: Connections;
  readonly #sessionCheck: SessionCheck;
  readonly #timeoutMs: number;
  readonly #given = new AbortController();
  #probes: readonly [Probe, Probe] | null = null;
  /** The commands connection, if it served as a probe. */
  #commands: Promise<Made> | null = null;
  #isPassed = false;

  constructor(connections: Connections, sessionCheck: SessionCheck, timeoutMs: number) {
    this.#connections = connections;
    this.#sessionCheck = sessionCheck;
    this.#timeoutMs = timeoutMs;
  }

  /** Opens the probes while the session is still connecting. */
  prepare(): void {
    const [first] = this.#openProbes();
    // Not behind a pooler: the transaction could occupy the backend that the session needs.
    first.made.then(({ hello }) => (seemsDirect(hello) ? first.openTransaction() : null)).catch(() => undefined);
  }

  /** @throws UnsafeBackendError, errors of the connection, RequestTimeout */
  async refusePooler(link: Link, hello: Hello): Promise<void> {
    // Half the time if a pooler is likely, so that callers get this error before their own timeout.
    const patienceMs = seemsDirect(hello) ? this.#timeoutMs : this.#timeoutMs / 2;
    const probes = this.#openProbes();
    this.#commands = probes.find(({ lane }) => lane === this.#connections.commands)?.made ?? null;
    try {
      await refusePooler({ link, hello, probes, patienceMs });
      this.#isPassed = true;
    } finally {
      this.end();
    }
  }

  /** Gives the probes back. After a failure they are cut, because they may wait for a pooler's backend for ever. */
  end(): void {
    this.#given.abort();
    const probes = this.#probes ?? [];
    this.#probes = null;
    for (const probe of probes) {
      void probe.end(this.#isPassed);
    }
  }

  /** @throws NotMigratedError, UnsupportedError, errors of the connection, RequestTimeout */
  async inspect(link: Link, session: ActiveSession): Promise<void> {
    if (this.#commands !== null) {
      const { id, nonce } = session;
      this.#sessionCheck.prefetch(
        session,
        this.#commands.then(({ link }) => link.query(SEES_SESSION, [id, nonce])),
      );
    }
    checkSchema(await withTimeout(link.query(SCHEMA_INFO), this.#timeoutMs));
  }

  #openProbes(): readonly [Probe, Probe] {
    this.#probes ??= this.#connections.probes(this.#given.signal);
    return this.#probes;
  }
}
