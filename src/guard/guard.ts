import { type HolderInfo, NotPermittedError, StaleFenceError } from "../errors/errors.js";
import { interpolate } from "./interpolate.js";
import { elsewhere, notATransaction } from "./refusals.js";
import { findSqlState } from "./sql-state.js";

/** A grant that a transaction depends on. */
export interface GuardedGrant {
  readonly key: string;
  readonly fence: bigint;
  /** Null: the `ttlMs` of the lease's row, at least 1,000. */
  readonly timeoutMs: number | null;
}

/** A grant that has ended. */
export interface Stale {
  readonly key: string;
  readonly fence: bigint;
  /** Who holds the key now, if that is known. */
  readonly holder: HolderInfo | null;
}

export interface GuardInit {
  /** All of them, in the order of their keys: one statement takes their locks in this order. */
  readonly grants: readonly [GuardedGrant, ...GuardedGrant[]];
  /** The database that the leases are in. */
  readonly databaseId: string | null;
  /** Called when a grant has ended. Finds out which one. */
  readonly onStale: () => Promise<Stale>;
  /** Called when the transaction is not in the database that `databaseId` names. */
  readonly onElsewhere: () => void;
}

export interface GuardStatements {
  /** Fails (25P01) if no transaction is open, or only an implicit one around several statements. Leaves nothing behind. */
  readonly proof: string;
  readonly guard: string;
  /** Fails (LH005) if what `guard` recorded for the transaction is gone: then there was no transaction (decision 21). */
  readonly check: string;
}

const states = ["LH001", "LH005", "LH007", "25P01", "3F000", "42883", "42501"] as const;

/** In this order: Postgres calls what it selects from left to right. */
function selectAll(calls: readonly string[]): string {
  return `select ${calls.join(", ")}`;
}

/** Makes a transaction fail unless its grants are still current, and keeps them current until the transaction ends. */
export class Guard {
  /** The first, for what is said about the guard as a whole. */
  readonly key: string;
  readonly fence: bigint;
  readonly statements: GuardStatements;
  readonly #init: GuardInit;

  constructor(init: GuardInit) {
    const { grants, databaseId } = init;
    this.#init = init;
    this.key = grants[0].key;
    this.fence = grants[0].fence;
    // With literals instead of parameters, one message can carry them through any library and any pooler.
    const guards = grants.map(({ key, fence, timeoutMs }) =>
      interpolate("leasehold_internal.guard($1::pg_catalog.text, $2::bigint, $3::int, $4::pg_catalog.text)", [
        key,
        String(fence),
        timeoutMs,
        databaseId,
      ]),
    );
    const checks = grants.map(({ key, fence }) =>
      interpolate("leasehold_internal.require_guard($1::pg_catalog.text, $2::bigint)", [key, String(fence)]),
    );
    this.statements = {
      proof: "savepoint leasehold_guard; release savepoint leasehold_guard",
      guard: selectAll(guards),
      check: selectAll(checks),
    };
  }

  /** Waits for a guard that was sent. If it failed, throws an error of this library that explains why. */
  async confirm(sent: PromiseLike<unknown>): Promise<void> {
    try {
      await sent;
    } catch (error) {
      throw await this.#explain(error);
    }
  }

  /** Passes on other errors unchanged, such as a serialization failure or a lost connection. */
  async #explain(error: unknown): Promise<unknown> {
    const { onStale, onElsewhere } = this.#init;
    switch (findSqlState(error, states)) {
      case "LH001":
        return new StaleFenceError({ ...(await onStale()), cause: error });
      case "LH005":
      case "25P01":
        return notATransaction(this, error);
      case "LH007":
        onElsewhere();
        return elsewhere(this, "it is another database than the one that the lock is in", error);
      case "3F000":
      case "42883":
        return elsewhere(this, "its database has no schema leasehold of this version", error);
      case "42501":
        return new NotPermittedError({
          statement: "select leasehold.grant_usage('<the role of this connection>');",
          cause: error,
        });
      case null:
        return error;
    }
  }
}
