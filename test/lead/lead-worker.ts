// A process that leads, or stands in line for it: candidate.ts starts it. On SIGTERM it hands over and ends.
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker, type LeadOptions, type LockerOptions } from "../../src/index.js";
import { emit, serve } from "../support/worker.js";

export interface LeadWorkerArgs {
  readonly url: string;
  readonly options: LockerOptions;
  readonly lead: LeadOptions;
}

/** When a body believed that it led, on the clock that all processes of a machine share. */
export interface Belief {
  readonly fence: bigint;
  readonly from: bigint;
  readonly until: bigint;
}

export interface Ended extends Belief {
  /** Why the body's signal fired: the reason of a loss, or null when it was asked to end. */
  readonly reason: string | null;
}

serve<LeadWorkerArgs>(({ url, options, lead }) => {
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  const locker = createLocker({ url, onError: () => {}, ...options });
  const leading = locker.lead(
    "leader",
    async (lock, signal) => {
      const { fence } = lock;
      const from = process.hrtime.bigint();
      let until = from;
      emit("leads", { fence, from, until });
      while (!signal.aborted) {
        const at = process.hrtime.bigint();
        if (lock.held) until = at;
        await sleep(2);
      }
      emit("ended", { fence, from, until, reason: signal.reason.reason ?? null });
    },
    { ...lead, signal: stop.signal },
  );
  void leading
    .then(
      () => emit("over", null),
      (error: Error) => emit("over", error.name),
    )
    .then(() => locker.close())
    .then(() => {
      // Nothing of ours keeps it alive any more: it ends by itself.
      process.removeAllListeners("disconnect");
      process.disconnect();
    });
  return {};
});
