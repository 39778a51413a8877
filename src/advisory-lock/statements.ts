import { Buffer } from "node:buffer";
import { createHash, randomUUID } from "node:crypto";
import { interpolate } from "../guard/interpolate.js";
import type { Question } from "../guard/library.js";

export interface Terms {
  readonly number: bigint;
  readonly shared: boolean;
  /** 0: one try. Null: as long as the transaction's `lock_timeout` allows. */
  readonly waitMs: number | null;
}

/** What the statement answers. `outside`: no transaction is open. Any other text is the transaction's isolation level. */
export type Outcome = "granted" | "busy" | "outside" | "standby" | (string & {});

/** A question, and what finds its outcome in the answer of whichever library. */
export interface LockQuestion extends Question {
  /** Null: the answer does not show it. */
  readonly outcomeIn: (answer: unknown) => Outcome | null;
}

/** The number that Postgres knows the key by: the first 8 bytes of the SHA-256 of its UTF-8, as a signed number. */
export function numberOf(key: string): bigint {
  return createHash("sha256").update(Buffer.from(key)).digest().readBigInt64BE(0);
}

/**
 * The lock is taken by a `case`, whose conditions are evaluated in their order. What can be told without an error is told without one, so
 * that the transaction stays as it was.
 *
 * Each call has a mark of its own: with a constant one, a statement that Kysely over postgres.js sends on another connection could find the
 * mark of another transaction there. A mark is added to those of the transaction, because several calls may run at once.
 */
export function lockQuestion(terms: Terms): LockQuestion {
  const mark = randomUUID();
  return {
    proof: "savepoint leasehold_lock; release savepoint leasehold_lock",
    mark: interpolate(
      `select pg_catalog.set_config('leasehold.advisory_locks',
         coalesce(pg_catalog.current_setting('leasehold.advisory_locks', true), '') operator(pg_catalog.||) $1::pg_catalog.text, true)`,
      [mark],
    ),
    statement: interpolate(
      `with setting as materialized (select pg_catalog.current_setting('lock_timeout') as was)
       select $1::pg_catalog.text operator(pg_catalog.||) '/' operator(pg_catalog.||) case
         when (pg_catalog.strpos(pg_catalog.current_setting('leasehold.advisory_locks', true), $1::pg_catalog.text)
               operator(pg_catalog.>) 0) is not true
           then 'outside'
         when pg_catalog.pg_is_in_recovery() then 'standby'
         when pg_catalog.current_setting('transaction_isolation')
              operator(pg_catalog.<>) all (array['read committed', 'read uncommitted']::pg_catalog.text[])
           then pg_catalog.current_setting('transaction_isolation')
         ${branchesOf(terms)}
         end as answer
         from setting`,
      [mark, String(terms.number), timeoutOf(terms.waitMs)],
    ),
    outcomeIn: (answer) => findText(answer, `${mark}/`),
  };
}

/** `void` as text is empty, not null: the condition is there to be evaluated. */
function branchesOf({ shared, waitMs }: Terms): string {
  const form = shared ? "lock_shared" : "lock";
  if (waitMs === 0) return `when pg_catalog.pg_try_advisory_xact_${form}($2::bigint) then 'granted' else 'busy'`;
  const wait = `when pg_catalog.pg_advisory_xact_${form}($2::bigint)::pg_catalog.text is null then 'busy'`;
  if (waitMs === null) return `${wait} else 'granted'`;
  return `when pg_catalog.set_config('lock_timeout', $3, true) is null then 'busy'
         ${wait}
         when pg_catalog.set_config('lock_timeout', setting.was, true) is null then 'busy'
         else 'granted'`;
}

/** For Postgres, 0 is no bound. */
function timeoutOf(waitMs: number | null): string | null {
  return waitMs === null ? null : String(waitMs === Number.POSITIVE_INFINITY ? 0 : waitMs);
}

/** More than any library nests. */
const DEEPEST = 8;

/**
 * What follows the prefix in the text that begins with it. Each library has another form for rows, and a client may have names for columns
 * that its user has chosen: so the text itself is looked for.
 */
function findText(value: unknown, prefix: string, depth = 0): string | null {
  if (typeof value === "string") return value.startsWith(prefix) ? value.slice(prefix.length) : null;
  if (typeof value !== "object" || value === null || depth > DEEPEST) return null;
  for (const inner of Object.values(value)) {
    const found = findText(inner, prefix, depth + 1);
    if (found !== null) return found;
  }
  return null;
}
