import { NotPermittedError } from "../../errors/errors.js";
import type { Database } from "../database.js";
import { type Data, type Filter, nameOf, readView } from "../view.js";
import { activeLeases, expiredLeases, queuedWaiters } from "../views.js";
import { checkOnly } from "./check-only.js";

/** All that is known of a key. */
export interface Shown {
  /** Rows of `active_leases`: none when the key is free, one for each holder when it is shared. */
  readonly leases: readonly Data[];
  /** A row of `expired_leases`; of a key that was shared, the first. */
  readonly ended: Data | null;
  /** Null: this role may not see them. */
  readonly waiters: readonly Data[] | null;
  /** Whether the key has no row that anybody could see, but will have one when somebody's transaction commits. */
  readonly isFirstGrant: boolean;
  /** What to run so that this role is shown the rest, whose columns are missing; null when this is all. */
  readonly missingRight: string | null;
}

/** A role that may only lock is shown what `check` tells it, too. */
export async function look(database: Database, key: string): Promise<Shown> {
  try {
    return await lookAtViews(database, key);
  } catch (error) {
    // On a standby there is no such check.
    if (!(error instanceof NotPermittedError) || database.hello.isStandby) throw error;
    const seen = await checkOnly(database, key).catch((refusal: unknown) => {
      throw refusal instanceof NotPermittedError ? error : refusal;
    });
    return { ...seen, waiters: null, missingRight: error.statement };
  }
}

async function lookAtViews(database: Database, key: string): Promise<Shown> {
  const filter: Filter = { column: "key", operator: "=", value: key };
  const leases = await readView(database, activeLeases, filter);
  const [ended = null] = await readView(database, expiredLeases, filter);
  const waiters = await readView(database, queuedWaiters, filter);
  const first = leases.length === 0 && ended === null ? await firstGrant(database, key) : null;
  return {
    leases: first === null ? leases : [first],
    ended,
    waiters,
    isFirstGrant: first !== null,
    missingRight: null,
  };
}

/** What no view can show, as a row of `active_leases`. On a standby nothing is known of transactions. */
async function firstGrant(database: Database, key: string): Promise<Data | null> {
  if (database.hello.isStandby) return null;
  const [row] = await database.query(
    "select c.state, c.waiters, c.blocking_pid, c.blocking_transaction from leasehold.check($1::pg_catalog.text) c",
    [key],
    "monitoring",
  );
  if (row === undefined || row.state === "free") return null;
  const nothing = Object.fromEntries(activeLeases.columns.map((column) => [nameOf(column), null]));
  return { ...nothing, key, ...row };
}
