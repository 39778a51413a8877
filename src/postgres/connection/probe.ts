import { passingSettings } from "./connect.js";
import type { Lane, Made } from "./lane.js";
import { type Link, LinkClosed } from "./link.js";

export interface ProbeOptions {
  readonly made: Promise<Made>;
  /** Whose connection it is; null for one that was made for this alone. */
  readonly lane: Lane | null;
  /** Takes the connection back; null when it is in an unknown state. */
  readonly end: (sound: Link | null) => void;
}

/** The transaction may stay open for long, so it disables timeouts for itself; nothing is set for good yet. */
const BEGIN = ["begin isolation level read committed", ...passingSettings, "select pg_catalog.pg_backend_pid()"].join(
  "; ",
);

/** Another connection to the session's address. By holding a transaction open it occupies a backend of a pooler, if there is one. */
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
    made.catch(() => undefined); // whoever asks for it hears of it
  }

  /** Opens a transaction and holds it, if it does not hold one yet. */
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

  /** Returns the connection. The rollback is sent first, so later statements run outside of the transaction. */
  async end(isSound: boolean): Promise<void> {
    this.#isGivenBack = true;
    const made = isSound ? await this.made.catch(() => null) : null;
    if (this.#transaction !== null) {
      made?.link.query("rollback").catch(() => undefined);
    }
    this.#end(made?.link ?? null);
  }
}
