import type { UnavailableError } from "../errors/errors.js";

/** How a call that waits in the queue goes on over an outage. */
export interface OutagePace {
  /** Called after a look that was not answered: how long to pause before the next one, in milliseconds. What it throws ends the call. */
  failed(failure: UnavailableError): number;
  /** Called when a look was answered. */
  answered(): void;
}
