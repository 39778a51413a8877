import type { AdvisoryLockOptions } from "../api/advisory-lock-options.js";
import { checkKey } from "../config/key.js";
import { checkBoolean, checkMs, checkNames } from "../errors/option-checks.js";
import { recognise } from "../guard/libraries.js";
import { findSqlState } from "../guard/sql-state.js";
import type { GuardedTransaction } from "../guard/transaction-of.js";
import { monotonicNowMs } from "../runtime/clock.js";
import {
  busy,
  lockLine,
  notATransaction,
  onStandby,
  reconnecting,
  timedOut,
  unreadable,
  wrongIsolation,
} from "./refusals.js";
import { lockQuestion, numberOf } from "./statements.js";

/**
 * Takes a plain advisory lock of Postgres in your open transaction, and keeps it until that ends: for short sections that begin and end
 * with a transaction. No locker and no schema are needed, and nothing is written.
 *
 * It is another kind of lock than `acquire` takes: no lease, no fence, no loss to watch for, and **no exclusion against `acquire` on the
 * same key**. It excludes other transactions in the same database that lock the same key in this way. The key is used as it is: a locker's `prefix` is not applied.
 *
 * Rolling back to a savepoint that was set before the call gives the lock back. A transaction may take a lock again that it has.
 *
 * ```ts
 * await db.transaction(async (tx) => {
 *   await advisoryLock(tx, "account:7");
 *   await tx.update(accounts).set({ balance: 0n }).where(eq(accounts.id, 7));
 * });
 * ```
 * @throws {WaitTimeoutError} after `waitMs`, or after the transaction's own `lock_timeout`; the transaction is aborted then, but not by
 * `waitMs: 0`
 * @throws {InvalidKeyError} for what is no key
 * @throws {InvalidOptionError} where no transaction is open, where its isolation level is not read committed, for an unsupported library
 * @throws {UnsupportedError} over postgres.js, unless `lock.transaction` has opened the transaction, or `acceptReconnect` is set
 * @throws {UnsafeBackendError} on a standby
 */
export async function advisoryLock(tx: GuardedTransaction, key: string, options?: AdvisoryLockOptions): Promise<void> {
  checkKey(key);
  const { shared, waitMs, acceptReconnect } = checkOptions(options);
  const number = numberOf(key);
  const { ask, reconnects } = recognise("tx", tx, () => lockLine(number, shared));
  if (ask === null) throw notATransaction(key);
  // As for a guard: what is written after the loss would be committed, while another has the lock.
  if (!acceptReconnect && (await reconnects?.())) throw reconnecting(key);

  const question = lockQuestion({ number, shared, waitMs });
  const startMs = monotonicNowMs();
  let answer: unknown;
  try {
    answer = await ask(question);
  } catch (error) {
    throw explain(key, error, waitMs ?? Math.round(monotonicNowMs() - startMs));
  }
  const outcome = question.outcomeIn(answer);
  switch (outcome) {
    case "granted":
      return;
    case "busy":
      throw busy(key);
    case "outside":
      throw notATransaction(key);
    case "standby":
      throw onStandby(key);
    case null:
      throw unreadable(key);
    default:
      throw wrongIsolation(key, outcome);
  }
}

/** Passes on other errors unchanged, such as a deadlock (40P01) or a lost connection. */
function explain(key: string, error: unknown, waitMs: number): unknown {
  switch (findSqlState(error, ["55P03", "25P01"])) {
    case "55P03":
      return timedOut(key, waitMs, error);
    case "25P01":
      return notATransaction(key, error);
    case null:
      return error;
  }
}

function checkOptions(options: unknown) {
  const given = checkNames("advisoryLock's options", options, ["shared", "waitMs", "acceptReconnect"]);
  const { shared = false, waitMs, acceptReconnect = false } = given;
  return {
    shared: checkBoolean("shared", shared),
    waitMs: waitMs === undefined ? null : checkMs("waitMs", waitMs, 0, { mayBeInfinite: true }),
    acceptReconnect: checkBoolean("acceptReconnect", acceptReconnect),
  };
}
