import { InvalidOptionError, UnsupportedError } from "../errors/errors.js";
import { describe, quote } from "../runtime/describe.js";
import { quoteLiteral } from "../runtime/quote.js";

/** The grant to be guarded. */
interface Subject {
  readonly key: string;
  readonly fence: bigint;
}

const known = "Drizzle, Kysely, Knex, TypeORM, MikroORM, Sequelize, Prisma, postgres.js or node-postgres";

/** `lock.guard` was called with something that is not a transaction. */
export function notATransaction({ key, fence }: Subject, cause?: unknown): InvalidOptionError {
  return new InvalidOptionError({
    option: "tx",
    expected: "an open transaction",
    received: undefined,
    message: `tx: no transaction is open there, and outside of one a guard protects nothing. Use lock.transaction(db, async (tx) => ...), which opens one, or pass the transaction itself. ${guardLine({ key, fence })}`,
    cause,
  });
}

/** `lock.transaction` was called with something that is already in a transaction. */
export function alreadyOpen(subject: Subject): InvalidOptionError {
  return new InvalidOptionError({
    option: "db",
    expected: "a database or a pool",
    received: undefined,
    message: `db: this is a transaction already, or a connection in one. Guard it with: await lock.guard(tx). ${guardLine(subject)}`,
  });
}

const reconnects =
  "when the connection dies inside a transaction, postgres.js silently goes on on a new one, outside of the transaction, and what is written there is committed without a guard";

/** `lock.guard` was called with a transaction of postgres.js that `lock.transaction` has not opened. */
export function reconnecting({ key }: Subject): UnsupportedError {
  return new UnsupportedError({
    message: `This transaction of postgres.js cannot be guarded (key ${quote(key)}): ${reconnects}. Let the lock open the transaction, which prevents that: await lock.transaction(db, async (tx) => { ... }). Or take the risk: await lock.guard(tx, { acceptReconnect: true }).`,
  });
}

/** `lock.transaction` was called with a Kysely over postgres.js, whose connection nobody can get at. */
export function reconnectingKysely({ key }: Subject): UnsupportedError {
  return new UnsupportedError({
    message: `A transaction of Kysely over postgres.js cannot be guarded (key ${quote(key)}): ${reconnects}. Kysely hides that connection from the lock. Use the client of postgres.js itself: await lock.transaction(sql, async (tx) => { ... }), or Kysely over node-postgres (its PostgresDialect). Or take the risk: await lock.guard(tx, { acceptReconnect: true }) in a transaction of your own.`,
  });
}

/** The transaction is open, but not in the lock's database. */
export function elsewhere(subject: Subject, why: string, cause: unknown): InvalidOptionError {
  return new InvalidOptionError({
    option: "db",
    expected: "a transaction in the database of the lock",
    received: undefined,
    message: `db: ${why}. A guard can only protect writes to the database that the lock is in: pass a connection to that one. ${guardLine(subject)} For writes elsewhere, compare lock.fence there, or use locker.checkFence().`,
    cause,
  });
}

/** A value that no supported library made. `advice` says what to do with it. */
export function unknownDatabase(option: "db" | "tx", value: unknown, advice: string, why?: string): InvalidOptionError {
  const received = why ?? nameOf(value);
  return new InvalidOptionError({
    option,
    expected: `a ${option === "db" ? "database" : "transaction"} of ${known}`,
    received: value,
    message: `${option}: expected a Postgres ${option === "db" ? "database" : "transaction"} of ${known}, got ${received}. ${advice}`,
  });
}

/** What guards a transaction that is of none of these libraries. */
export function guardLine({ key, fence }: Subject): string {
  return `With anything else that speaks to Postgres, run this in the transaction, first: select leasehold.guard(${quoteLiteral(key)}, ${fence});`;
}

/** Names the class, by which users recognise the value. */
function nameOf(value: unknown): string {
  const name: unknown = typeof value === "object" && value !== null ? value.constructor?.name : null;
  return typeof name === "string" && name !== "" && name !== "Object"
    ? `an object of class ${quote(name)}`
    : describe(value);
}
