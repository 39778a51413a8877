// The order in which transactions committed, read from the WAL by logical decoding (pgoutput, which every Postgres has).
//
// Why not otherwise: pg_xact_commit_timestamp() is taken before the commit record is written, so two commits can have the
// order of their times reversed, or the same time; a number that a log row is given when it is inserted says when it was
// inserted; and a version that is read and written under the guard is only as good as the guard, which is on trial here.
// The WAL has one commit record after another. Of two transactions that met on a row lock, the second went on only when the
// record of the first was there, so for them it is also the order in which they saw each other. What was rolled back, to a
// savepoint or as a whole, is not in it, and whether a client heard of its commit does not matter.
import type postgres from "postgres";

export interface Change {
  readonly table: string;
  /** As text. Of a row that was deleted, its primary key. */
  readonly row: Readonly<Record<string, string | null>>;
}

export type Commit = readonly Change[];

export class CommitOrder {
  readonly #sql: postgres.Sql;

  private constructor(sql: postgres.Sql) {
    this.#sql = sql;
  }

  /** Of what commits from now on in these tables. The server must run with `wal_level=logical`. */
  static async follow(sql: postgres.Sql, tables: readonly string[]): Promise<CommitOrder> {
    await sql.unsafe(`create publication commit_order for table ${tables.join(", ")}`);
    await sql`select pg_create_logical_replication_slot('commit_order', 'pgoutput')`;
    return new CommitOrder(sql);
  }

  /** What has committed since the last call. */
  async next(): Promise<readonly Commit[]> {
    const messages = await this.#sql<{ data: Buffer }[]>`
      select data from pg_logical_slot_get_binary_changes(
        'commit_order', null, null, 'proto_version', '1', 'publication_names', 'commit_order')`;
    return decode(messages.map(({ data }) => data));
  }
}

interface Relation {
  readonly name: string;
  readonly columns: readonly string[];
}

/** https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html */
function decode(messages: readonly Buffer[]): readonly Commit[] {
  const relations = new Map<number, Relation>();
  const commits: Change[][] = [];
  for (const data of messages) {
    const message = new Message(data);
    const kind = message.byte();
    if (kind === "B") commits.push([]);
    if (kind === "R") {
      const oid = message.int32();
      relations.set(oid, message.relation());
    }
    if (kind === "I" || kind === "U" || kind === "D") {
      const relation = relations.get(message.int32());
      if (relation === undefined) throw new Error("a change of a relation that was not described");
      commits.at(-1)?.push({ table: relation.name, row: message.lastTuple(relation.columns) });
    }
  }
  return commits;
}

class Message {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  byte(): string {
    return String.fromCharCode(this.#data.readUInt8(this.#move(1)));
  }

  int16(): number {
    return this.#data.readInt16BE(this.#move(2));
  }

  int32(): number {
    return this.#data.readInt32BE(this.#move(4));
  }

  text(bytes: number): string {
    const from = this.#move(bytes);
    return this.#data.toString("utf8", from, this.#at);
  }

  word(): string {
    const word = this.text(this.#data.indexOf(0, this.#at) - this.#at);
    this.#move(1);
    return word;
  }

  relation(): Relation {
    const name = `${this.word()}.${this.word()}`;
    this.byte(); // the replica identity
    const columns = Array.from({ length: this.int16() }, () => {
      this.byte(); // whether it is of the key
      const column = this.word();
      this.int32(); // its type
      this.int32(); // and modifier
      return column;
    });
    return { name, columns };
  }

  /** An update may have the old key before the new row. */
  lastTuple(columns: readonly string[]): Change["row"] {
    let row: Change["row"] = {};
    while (this.#at < this.#data.length) {
      this.byte(); // new, old, or key
      const values = Array.from({ length: this.int16() }, () => (this.byte() === "t" ? this.text(this.int32()) : null));
      row = Object.fromEntries(columns.map((column, index) => [column, values[index] ?? null]));
    }
    return row;
  }

  #move(bytes: number): number {
    this.#at += bytes;
    return this.#at - bytes;
  }
}
