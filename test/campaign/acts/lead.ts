import type { Lock } from "../../../src/index.js";
import { Cancelled, GivenUp } from "../worker/failure.js";
import type { Act, Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import type { OpenCall } from "../worker/log-file.js";
import { renew } from "./holding.js";
import { alone, leaseOptions, noted } from "./options.js";

/** How long it may take to hear that it is to end. */
const BODY_MS = 150;

/**
 * A leader, for some terms. The log has a call `lead` for each campaign: it settles, with the grant, when the body begins. The next one begins
 * when the body ends, for only `lead` knows whether the term was lost: the last one settles with `nothing` or an error. The release is in
 * the log from the end of the body until then.
 */
export const leadAct: Act = {
  name: "lead",
  weight: 3,
  async run(flow) {
    const { args, chance, stopping, locker } = flow;
    const key = chance.pick([...args.keys.waits, ...args.keys.exclusive]);
    const { maxHoldMs: _, ...options } = leaseOptions(chance);
    const controller = new AbortController();
    const stop = (): void => controller.abort(new Cancelled("the worker ends the campaign"));
    const timer = setTimeout(stop, chance.between(500, 5_000));
    if (stopping.aborted) stop();
    else stopping.addEventListener("abort", stop, { once: true });
    const leader = new Leader(flow, key, {
      // a term that ends by itself, so that there is another one
      ...(chance.is(0.3) ? { maxHoldMs: chance.between(50, 600) } : {}),
      ...options,
    });
    leader.campaign();
    try {
      await locker.lead(key, leader.body, { ...leader.options, signal: controller.signal });
      leader.end();
    } catch (error) {
      leader.fail(error);
    } finally {
      clearTimeout(timer);
      stopping.removeEventListener("abort", stop);
    }
    return leader.terms > 0;
  },
};

class Leader {
  readonly options: ReturnType<typeof leaseOptions>;
  readonly #flow: Flow;
  readonly #key: string;
  #campaign: OpenCall | undefined;
  #release: OpenCall | undefined;
  #handle: Handle | undefined;
  terms = 0;

  constructor(flow: Flow, key: string, options: ReturnType<typeof leaseOptions>) {
    this.#flow = flow;
    this.#key = key;
    this.options = options;
  }

  campaign(): void {
    this.#campaign = this.#flow.log.begin({
      call: "lead",
      keys: [this.#key],
      terms: alone,
      ...noted(this.options),
      waitMs: null,
      isCancelled: true,
      boundMs: 5_000 + BODY_MS + this.#flow.args.requestTimeoutMs,
    });
  }

  readonly body = async (lock: Lock, signal: AbortSignal): Promise<void> => {
    const { args, chance, handles, log } = this.#flow;
    this.terms += 1;
    const handle = handles.add(lock, alone);
    this.#handle = handle;
    this.#release?.end({ outcome: "nothing" }); // it was lost
    this.#campaign?.end({ outcome: "done", grants: [handle.grant] });
    handles.sample(handle);
    const ended = onAbort(signal);
    const steps = chance.between(1, 8);
    for (let step = 0; step < steps && !signal.aborted; step += 1) {
      await Promise.race([this.#flow.pause(chance.between(0, BODY_MS)), ended]);
      handles.sample(handle);
      if (chance.is(0.1)) await renew(this.#flow, handle);
    }
    this.#release = log.begin({
      call: "release",
      keys: [lock.key],
      lock: handle.grant.lock,
      by: "lead",
      boundMs: args.requestTimeoutMs,
    });
    this.campaign();
    if (chance.is(0.1)) throw new GivenUp("the leader has failed");
  };

  end(): void {
    this.#release?.end({ outcome: "done" });
    this.#campaign?.end({ outcome: "nothing" });
    this.#ended();
  }

  fail(error: unknown): void {
    if (error instanceof GivenUp) {
      this.end();
      return;
    }
    this.#release?.fail(error);
    this.#campaign?.fail(error);
    this.#ended();
  }

  #ended(): void {
    if (this.#handle) this.#flow.handles.ended(this.#handle);
  }
}

function onAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
