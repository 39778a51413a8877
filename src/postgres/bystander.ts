import { passingSettings } from "./connect.js";
import type { Lane, Made } from "./lane.js";
import { type Link, LinkClosed } from "./link.js";

export interface BystanderOptions {
  readonly made: Promise<Made>;
  /** Whose connection it is; null for one that was made for this alone. */
  readonly lane: Lane | null;
  /** Takes the connection back; null when it is in an unknown state. */
  readonly end: (sound: Link | null) => void;
}

/** It may be long until the transaction ends, and nothing was set for good yet. */
const SIT = ["begin isolation level read committed", ...passingSettings, "select pg_catalog.pg_backend_pid()"].join(
  "; ",
);

/** Another connection to the session's address, which keeps busy what a pooler has to give. */
export class Bystander {
  readonly made: Promise<Made>;
  readonly lane: Lane | null;
  readonly #end: (sound: Link | null) => void;
  #sitting: Promise<Link> | null = null;
  #isOver = false;

  constructor({ made, lane, end }: BystanderOptions) {
    this.made = made;
    this.lane = lane;
    this.#end = end;
    made.catch(() => undefined); // whoever asks for it hears of it
  }

  /** Sits in an open transaction, if it does not yet. */
  async sit(): Promise<void> {
    this.#sitting ??= this.made.then(async ({ link }) => {
      if (this.#isOver) {
        throw new LinkClosed("this connection was given back");
      }
      await link.query(SIT);
      return link;
    });
    await this.#sitting;
  }

  /** Ends the transaction, if there is one. */
  async rise(): Promise<void> {
    const sitting = this.#sitting;
    this.#sitting = null;
    await (await sitting)?.query("rollback");
  }

  /** Gives it back. What is sent over it from now on stands behind the end of its transaction. */
  async end(isSound: boolean): Promise<void> {
    this.#isOver = true;
    const made = isSound ? await this.made.catch(() => null) : null;
    if (this.#sitting !== null) {
      made?.link.query("rollback").catch(() => undefined);
    }
    this.#end(made?.link ?? null);
  }
}
