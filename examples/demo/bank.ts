// The bank: a few accounts, and how money is moved between them under the locks of both.
import postgres from "postgres";
import type { Lock } from "../../src/index.js";

/** The connection to Postgres was lost in the middle of a transaction. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

export type Sql = postgres.Sql<{ bigint: bigint }>;

export const keys: readonly string[] = [1, 2, 3, 4, 5, 6].map((number) => `account:${number}`);
export const openingBalance = 10_000n;

export interface Side {
  readonly lock: Lock;
  readonly balance: bigint;
}

/** Postgres turned a write down: the guard found that the lock is another worker's by now. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly code: string;
  /** Who has it instead, as Postgres says. */
  readonly detail: string;

  constructor(error: postgres.PostgresError) {
    super(error.message, { cause: error });
    this.code = error.code;
    this.detail = error.detail ?? "";
  }
}

const clientOptions = { onnotice: () => {}, types: { bigint: postgres.BigInt } };

export function connect(url: string): Sql {
  return postgres(url, { ...clientOptions, max: 2 });
}

export async function openBank(sql: Sql): Promise<void> {
  await sql`create table accounts (key text primary key, balance bigint not null)`;
  await sql`create table transfers (
    id bigint generated always as identity primary key,
    worker text not null, source text not null, target text not null, amount bigint not null)`;
  // the log for the verdict at the end: who worked on what, and when
  await sql`create table grants (
    key text not null, fence bigint not null, worker text not null,
    granted_at timestamptz not null, began_at timestamptz not null default clock_timestamp(), ended_at timestamptz,
    number bigint generated always as identity, primary key (key, fence))`;
  await sql`insert into accounts (key, balance) select unnest(${sql.array([...keys])}::text[]), ${openingBalance}`;
}

export interface Transfer {
  readonly source: Side;
  readonly target: Side;
  readonly amount: bigint;
  /** Called when the money has left the source and has not reached the target. */
  readonly halfway: () => Promise<void>;
}

/** The accounts as one worker sees them, over one connection. */
export class Bank {
  readonly #worker: string;
  readonly #sql: Sql;
  #connection: Connection;

  constructor(url: string, worker: string) {
    this.#worker = worker;
    const onclose = () => {
      this.#connection.end();
      this.#connection = new Connection(this.#sql);
    };
    this.#sql = postgres(url, { ...clientOptions, max: 1, onclose });
    this.#connection = new Connection(this.#sql);
  }

  /** What is computed from it is written later, in another transaction: no row stays locked meanwhile. */
  async readBalance(lock: Lock): Promise<bigint> {
    const [account] = await this.#transaction(async (sql) => {
      await sql`
        insert into grants (key, fence, worker, granted_at)
        select key, fence, ${this.#worker}, acquired_at from leasehold.leases where key = ${lock.key} and fence = ${lock.fence}`;
      return await sql<{ balance: bigint }[]>`select balance from accounts where key = ${lock.key}`;
    });
    if (account === undefined) throw new Error(`there is no ${lock.key}`);
    return account.balance;
  }

  /**
   * Writes what was computed from the balances that were read, if both locks are still ours: the guards ask Postgres itself,
   * and from then to the commit nobody else is granted them. `lock.transaction(sql, ...)` does the same, but sends nothing for
   * a lock that it knows to be lost; here Postgres is asked whatever the lock says.
   */
  async move({ source, target, amount, halfway }: Transfer): Promise<void> {
    await this.#transaction(async (sql) => {
      await guard(sql, source.lock);
      await guard(sql, target.lock);
      await writeBalance(sql, source.lock, source.balance - amount);
      await halfway();
      await writeBalance(sql, target.lock, target.balance + amount);
      await sql`
        insert into transfers (worker, source, target, amount)
        values (${this.#worker}, ${source.lock.key}, ${target.lock.key}, ${amount})`;
      for (const { lock } of [source, target]) {
        await sql`update grants set ended_at = clock_timestamp() where key = ${lock.key} and fence = ${lock.fence}`;
      }
    });
  }

  async close(): Promise<void> {
    await this.#sql.end({ timeout: 1 });
  }

  /**
   * By hand, because the server crashes in the middle: `sql.begin` of postgres.js then ends the process now and then, for it
   * writes to the socket that is gone (as `sql.reserve` does, porsager/postgres #1208). And left to itself, a client goes on
   * over a new connection, outside of the transaction, and never answers what was sent after the old one's error.
   */
  async #transaction<T>(work: (sql: Query) => Promise<T>): Promise<T> {
    const connection = this.#connection;
    const query: Query = (text, ...values) => connection.query(text, ...values);
    await query`begin`;
    try {
      const result = await work(query);
      await query`commit`;
      return result;
    } catch (error) {
      await query`rollback`.catch(() => {});
      throw error;
    }
  }
}

/** The connection that the client has now. It is lost with the first error that is not the server's, and nothing is sent on it then. */
class Connection {
  readonly #sql: Sql;
  readonly #lost: Promise<never>;
  #isLost = false;
  #reject: (error: Error) => void = () => {};

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#lost = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.#lost.catch(() => {}); // nobody may be waiting
  }

  async query<T extends readonly postgres.MaybeRow[]>(text: TemplateStringsArray, ...values: Values): Promise<T> {
    if (this.#isLost) throw new ConnectionLost();
    try {
      return await Promise.race([this.#sql<T>(text, ...values), this.#lost]);
    } catch (error) {
      if (!(error instanceof postgres.PostgresError)) this.end();
      throw error;
    }
  }

  end(): void {
    this.#isLost = true;
    this.#reject(new ConnectionLost());
  }
}

type Values = readonly (string | bigint)[];
type Query = <T extends readonly postgres.MaybeRow[] = postgres.Row[]>(
  text: TemplateStringsArray,
  ...values: Values
) => Promise<T>;

async function guard(sql: Query, { key, fence }: Lock): Promise<void> {
  try {
    await sql`select leasehold.guard(${key}, ${fence})`;
  } catch (error) {
    throw error instanceof postgres.PostgresError && error.code === "LH001" ? new Refused(error) : error;
  }
}

async function writeBalance(sql: Query, { key }: Lock, balance: bigint): Promise<void> {
  await sql`update accounts set balance = ${balance} where key = ${key}`;
}
