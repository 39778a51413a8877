import type { Claim } from "../claim/claim.js";
import type { Holdings } from "../hold/holdings.js";
import type { AcquiresInit } from "./acquires-init.js";

/** What a set has and asks for in one locker. */
export interface SetInProgress {
  /** Ends the whole set. */
  end(error: unknown): void;
  claims(): Iterable<Claim>;
}

export interface SetPartsInit extends Omit<AcquiresInit, "holdings"> {
  /** Where the locks are that users have. */
  readonly holdings: Holdings;
  /** Where the parts are of sets that are not whole: they are renewed, and nobody sees them. */
  readonly parts: Holdings;
}

/** What sets need of a locker in which they take keys. */
export class SetParts {
  readonly init: SetPartsInit;
  readonly inProgress: Set<SetInProgress> = new Set();

  constructor(init: SetPartsInit) {
    this.init = init;
  }

  *[Symbol.iterator](): Iterator<Claim> {
    for (const set of this.inProgress) {
      yield* set.claims();
    }
  }

  /** Ends all of them with this error. */
  end(error: unknown): void {
    for (const set of [...this.inProgress]) {
      set.end(error);
    }
  }
}
