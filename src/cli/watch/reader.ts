import { UnavailableError } from "../../errors/errors.js";
import { findAddress } from "../address.js";
import type { Arguments } from "../arguments.js";
import { Database } from "../database.js";
import { explain } from "../output.js";
import { readView } from "../view.js";
import type { Reading } from "./frame.js";
import { allTabs } from "./state.js";

/** Reads repeatedly over one connection. When the connection is lost, it opens another one. */
export class Reader {
  readonly #args: Arguments;
  #database: Database;
  #last: Reading | null = null;

  private constructor(args: Arguments, database: Database) {
    this.#args = args;
    this.#database = database;
  }

  static async open(args: Arguments): Promise<Reader> {
    return new Reader(args, await Database.open(await findAddress(args)));
  }

  /** When the server is away: the last reading, and why there is no newer one. */
  async read(): Promise<Reading> {
    try {
      this.#last = { database: this.#database.name, at: new Date(), rows: await this.#rows(), trouble: null };
      return this.#last;
    } catch (error) {
      if (this.#last === null || !(error instanceof UnavailableError)) throw error;
      this.#last = { ...this.#last, trouble: explain(error) };
      await this.#reconnect();
      return this.#last;
    }
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async #rows(): Promise<Reading["rows"]> {
    const rows: Reading["rows"][number][] = [];
    for (const { view } of allTabs) rows.push(await readView(this.#database, view));
    return rows;
  }

  async #reconnect(): Promise<void> {
    const address = await findAddress(this.#args);
    const database = await Database.open(address).catch(() => null); // the next turn tries again
    if (database === null) return;
    await this.#database.close();
    this.#database = database;
  }
}
