import { withTimeout } from "../timeout.js";
import type { Bystander } from "./bystander.js";
import { type Hello, seemsDirect } from "./connect.js";
import type { Connections } from "./connections.js";
import type { Link } from "./link.js";
import { refusePooler } from "./pooler-test.js";
import { checkSchema } from "./schema-check.js";
import type { Inspector, Standing } from "./session.js";
import type { Sight } from "./sight.js";
import { SCHEMA_INFO, SEES_SESSION } from "./statements.js";

/** Refuses a backend before the first session on it is used: schema, pooler. */
export class Inspection implements Inspector {
  readonly #connections: Connections;
  readonly #sight: Sight;
  readonly #timeoutMs: number;
  readonly #given = new AbortController();
  #bystanders: readonly [Bystander, Bystander] | null = null;
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

  /** @throws NotMigratedError, UnsupportedError, UnsafeBackendError, what a connection may fail with, RequestTimeout */
  async inspect(link: Link, hello: Hello, session: Standing): Promise<void> {
    // Whoever waits for the session should hear what is wrong with it, and not that it took too long.
    const patienceMs = seemsDirect(hello) ? this.#timeoutMs : this.#timeoutMs / 2;
    try {
      await withTimeout(this.#refuse(link, hello, session), patienceMs);
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

  async #refuse(link: Link, hello: Hello, session: Standing): Promise<void> {
    const bystanders = this.#standBy();
    const commands = bystanders.find(({ lane }) => lane === this.#connections.commands);
    if (commands !== undefined) {
      const { id, nonce } = session;
      this.#sight.foresee(
        session,
        commands.made.then(({ link }) => link.query(SEES_SESSION, [id, nonce])),
      );
    }
    const schema = link.query(SCHEMA_INFO);
    const test = refusePooler({ link, hello, session, bystanders });
    test.catch(() => undefined); // the schema comes first
    checkSchema(await schema);
    await test;
  }

  #standBy(): readonly [Bystander, Bystander] {
    this.#bystanders ??= this.#connections.bystanders(this.#given.signal);
    return this.#bystanders;
  }
}
