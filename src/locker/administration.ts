import type { ForceReleaseResult } from "../api/force-release.js";
import type { ForceReleaseOptions } from "../api/options.js";
import type { SweepResult } from "../api/results.js";
import { InvalidOptionError, StaleFenceError } from "../errors/errors.js";
import { checkBoolean, checkFence, checkNames, checkText } from "../errors/option-checks.js";
import type { Holdings } from "../hold/holdings.js";
import { quote } from "../runtime/describe.js";
import type { Backend } from "../store/backend.js";
import type { Calls } from "./calls.js";
import { toForceReleaseResult } from "./force-release.js";
import type { Sweeping } from "./sweeping.js";

export interface AdministrationInit {
  readonly backend: Backend;
  readonly calls: Calls;
  readonly holdings: Holdings;
  readonly sweeping: Sweeping;
  readonly requestTimeoutMs: number;
  /** Called when a key was freed by force. */
  readonly onFreed: (key: string) => void;
}

/** What a locker can do with locks that it need not hold. */
export class Administration {
  readonly #init: AdministrationInit;

  constructor(init: AdministrationInit) {
    this.#init = init;
  }

  async forceRelease(key: string, options: ForceReleaseOptions): Promise<ForceReleaseResult | null> {
    const { backend, calls, holdings, onFreed } = this.#init;
    const given = checkNames("forceRelease's options", options, ["fence", "immediate"]);
    const fence = given.fence === undefined ? null : checkFence("fence", given.fence);
    const isImmediate = given.immediate === undefined ? false : checkBoolean("immediate", given.immediate);
    const answer = await calls.ask(() => backend.forceRelease({ key, fence, isImmediate }), "admin");
    if (answer.outcome === "released") {
      onFreed(key);
    }
    return toForceReleaseResult(key, answer, (holder) => holdings.holderInfo(key, holder));
  }

  async checkFence(resource: string, fence: bigint): Promise<void> {
    const { backend, calls } = this.#init;
    const checkedResource = checkText("resource", resource, 1, 512);
    const checkedFence = checkFence("fence", fence);
    const outcome = await calls.ask(() => backend.checkFence(checkedResource, checkedFence));
    if (outcome === "unknown") {
      throw new InvalidOptionError({
        option: "fence",
        expected: "the fence of a lock in this database",
        received: checkedFence,
      });
    }
    if (outcome === "stale") {
      const message = `${quote(checkedResource)} has seen a larger fence than ${checkedFence}: do not write.`;
      throw new StaleFenceError({ key: checkedResource, fence: checkedFence, message });
    }
  }

  sweep(): Promise<SweepResult> {
    const { backend, calls, sweeping, requestTimeoutMs } = this.#init;
    return calls.run(async () => {
      await backend.open(requestTimeoutMs);
      return await sweeping.sweep();
    });
  }
}
