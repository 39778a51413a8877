// What cannot be locked in, and waits that came to nothing.
import { InvalidOptionError, UnsafeBackendError, UnsupportedError, WaitTimeoutError } from "../errors/errors.js";
import { quote } from "../runtime/describe.js";

/** What takes the same lock in a transaction of any library. */
export function lockLine(number: bigint, shared: boolean): string {
  return `With anything else that speaks to Postgres, run this in the transaction: select pg_catalog.pg_advisory_xact_lock${shared ? "_shared" : ""}(${number});`;
}

export function notATransaction(key: string, cause?: unknown): InvalidOptionError {
  return new InvalidOptionError({
    option: "tx",
    expected: "an open transaction",
    received: undefined,
    message: `tx: no transaction is open there, and outside of one the lock on ${quote(key)} would end at once. Open one with your library, and pass what your library gives you for it.`,
    cause,
  });
}

/** In a snapshot that is older than the lock, what the last holder wrote would be missing. */
export function wrongIsolation(key: string, level: string): InvalidOptionError {
  return new InvalidOptionError({
    option: "tx",
    expected: "a transaction of the isolation level read committed",
    received: level,
    message: `tx: this transaction is ${level}. It would read what there was before it had the lock on ${quote(key)}, and not what the last holder wrote. Begin it with isolation level read committed.`,
  });
}

/** A standby keeps advisory locks to itself. */
export function onStandby(key: string): UnsafeBackendError {
  return new UnsafeBackendError({
    problem: `This transaction is on a standby, where a lock on ${quote(key)} would exclude nobody on the primary`,
    remedy: "Open it on the primary",
  });
}

/** A transaction of postgres.js that `lock.transaction` has not opened. */
export function reconnecting(key: string): UnsupportedError {
  return new UnsupportedError({
    message: `The lock on ${quote(key)} would not protect this transaction of postgres.js: when its connection dies, postgres.js silently goes on on a new one, outside of the transaction and without the lock, and what is written there is committed. Use node-postgres for it, or a transaction that lock.transaction has opened. Or take the risk: await advisoryLock(tx, key, { acceptReconnect: true }).`,
  });
}

/** The library answers in a form that nobody has tried. The lock may have been taken, until the transaction ends. */
export function unreadable(key: string): UnsupportedError {
  return new UnsupportedError({
    message: `Whether the lock on ${quote(key)} was granted cannot be read: this driver does not give the rows of a statement. Roll the transaction back.`,
  });
}

export function busy(key: string): WaitTimeoutError {
  return new WaitTimeoutError({
    key,
    waitMs: 0,
    message: `Another transaction has the lock on ${quote(key)}. This transaction is as it was before. Try again later, or give a waitMs.`,
  });
}

export function timedOut(key: string, waitMs: number, cause: unknown): WaitTimeoutError {
  return new WaitTimeoutError({
    key,
    waitMs,
    message: `Waited ${waitMs} ms for ${quote(key)}, which another transaction has locked. Postgres has aborted this transaction by that: roll it back, or to a savepoint that was set before. With waitMs: 0, a try, it would stay usable.`,
    cause,
  });
}
