import { withTimeout } from "../timeout.js";
import type { Bystander } from "./bystander.js";
import { type Hello, seemsDirect } from "./connect.js";
import type { Connections } from "./connections.js";
import type { Made } from "./lane.js";
import type { Link } from "./link.js";
import { refusePooler } from "./pooler-test.js";
import { checkSchema } from "./schema-check.js";
import type { Inspector, Standing } from "./session.js";
import type { Sight } from "./sight.js";
import { SCHEMA_INFO, SEES_SESSION } from "./statements.js";

/** Refuses a backend: a pooler before there is a session on it, a schema before the first session is used. */
export class Inspection implements Inspector {
  readonly #connections: Connections;
  readonly #sight: Sight;
  readonly #timeoutMs: number;
  readonly #given = new AbortController();
  #bystanders: readonly [Bystander, Bystander] | null = null;
  /** The lane's, which was a bystander. */
  #commands: Promise<Made> | null = null;
  #isPassed = false;

  constructor(connections: Connections, sight: Sight, timeoutMs: number) {
    this.#connections = connections;
    this.#sight = sight;
    this.#timeoutMs = timeoutMs;
  }

  /** Opens what it needs, while the session's connection is still being made. */
  prepare(): void {
    const [first] = this.#standBy();
    // Behind a pooler it would be in the way of the session.
    first.made.then(({ hello }) => (seemsDirect(hello) ? first.sit() : null)).catch(() => undefined);
  }

  /** @throws UnsafeBackendError, what a connection may fail with, RequestTimeout */
  async refusePooler(link: Link, hello: Hello): Promise<void> {
    // Whoever waits for the session should hear what is wrong with it, and not that it took too long.
    const patienceMs = seemsDirect(hello) ? this.#timeoutMs : this.#timeoutMs / 2;
    const bystanders = this.#standBy();
    this.#commands = bystanders.find(({ lane }) => lane === this.#connections.commands)?.made ?? null;
    try {
      await withTimeout(refusePooler({ link, hello, bystanders }), patienceMs);
      this.#isPassed = true;
    } finally {
      this.end();
    }
  }

  /** Gives back what it opened; after a failure it is cut, for it may wait for a pooler's backend for ever. */
  end(): void {
    this.#given.abort();
    const bystanders = this.#bystanders ?? [];
    this.#bystanders = null;
    for (const bystander of bystanders) {
      void bystander.end(this.#isPassed);
    }
  }

  /** @throws NotMigratedError, UnsupportedError, what a connection may fail with, RequestTimeout */
  async inspect(link: Link, session: Standing): Promise<void> {
    if (this.#commands !== null) {
      const { id, nonce } = session;
      this.#sight.foresee(
        session,
        this.#commands.then(({ link }) => link.query(SEES_SESSION, [id, nonce])),
      );
    }
    checkSchema(await withTimeout(link.query(SCHEMA_INFO), this.#timeoutMs));
  }

  #standBy(): readonly [Bystander, Bystander] {
    this.#bystanders ??= this.#connections.bystanders(this.#given.signal);
    return this.#bystanders;
  }
}
