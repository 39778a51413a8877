import { passingSettings } from "./connect.js";
import type { Lane, Made } from "./lane.js";
import type { Link } from "./link.js";
import { LinkClosed } from "./link-closed.js";

export interface ProbeOptions {
  readonly made: Promise<Made>;
  /** The lane that owns the connection. Null: it was made for the probe alone. */
  readonly lane: Lane | null;
  /** Takes the connection back. Null: it is in an unknown state. */
  readonly end: (sound: Link | null) => void;
}

/** The transaction may stay open for long, so it disables its timeouts. It sets nothing beyond itself. */
const BEGIN = ["begin isolation level read committed", ...passingSettings, "select pg_catalog.pg_backend_pid()"].join(
  "; ",
);

/** Another connection to the session's address. Its open transaction occupies a backend of the pooler, if there is one. */
export class Probe {
  readonly made: Promise<Made>;
  readonly lane: Lane | null;
  readonly #end: (sound: Link | null) => void;
  #transaction: Promise<Link> | null = null;
  #isGivenBack = false;

  constructor({ made, lane, end }: ProbeOptions) {
    this.made = made;
    this.lane = lane;
    this.#end = end;
    made.catch(() => undefined); // callers that await it get the error
  }

  /** Opens a transaction and keeps it open, unless it has one already. */
  async openTransaction(): Promise<void> {
    this.#transaction ??= this.made.then(async ({ link }) => {
      if (this.#isGivenBack) {
        throw new LinkClosed("this connection was given back");
      }
      await link.query(BEGIN);
      return link;
    });
    await this.#transaction;
  }

  /** Ends the transaction, if there is one. */
  async rollBack(): Promise<void> {
    const transaction = this.#transaction;
    this.#transaction = null;
    await (await transaction)?.query("rollback");
  }

  /** Gives the connection back. The rollback is sent first, so later statements run outside of the transaction. */
  async end(isSound: boolean): Promise<void> {
    this.#isGivenBack = true;
    const made = isSound ? await this.made.catch(() => null) : null;
    if (this.#transaction !== null) {
      made?.link.query("rollback").catch(() => undefined);
    }
    this.#end(made?.link ?? null);
  }
}
