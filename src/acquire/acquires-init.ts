import type { Lock } from "../api/lock.js";
import type { ClaimContext } from "../claim/claim.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import type { UnavailableError } from "../errors/errors.js";
import type { Holdings } from "../hold/holdings.js";
import type { Callbacks } from "../observe/callbacks.js";
import type { Observer } from "../observe/observer.js";
import type { Activity } from "../runtime/activity.js";
import type { Background } from "../runtime/background.js";
import type { LocalQueues } from "./local-queues.js";
import type { MixedCapacities } from "./mixed-capacities.js";
import type { NotGranted } from "./results.js";

/** What all acquires of a locker share. */
export interface AcquiresInit {
  readonly claims: ClaimContext;
  readonly queues: LocalQueues;
  readonly holdings: Pick<Holdings, "hold" | "has" | "hasAlone" | "size">;
  readonly activity: Activity;
  readonly background: Pick<Background, "add">;
  readonly callbacks: Callbacks;
  readonly mixedCapacities: MixedCapacities;
  readonly observer: Pick<Required<Observer>, "acquireEnded">;
  readonly onAcquired: ((lock: Lock) => void) | null;
  /** Called with what a call that waits outlasts: Postgres cannot be reached for now. */
  readonly onOutage: (error: UnavailableError) => void;
  /** Called when one that has outlasted an outage has an answer. */
  readonly onRecovered: () => void;
  /** Makes the error with which `acquire` rejects when it was not granted. */
  readonly toError: (
    key: string,
    terms: ResolvedAcquireOptions,
    result: NotGranted,
    deadlock: readonly string[] | null,
  ) => Error;
}
