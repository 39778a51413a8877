import type { Lock } from "../../../src/index.js";
import type { Terms } from "../log.js";
import { boundOf } from "../worker/bounds.js";
import { GivenUp } from "../worker/failure.js";
import type { Act, Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import type { OpenCall } from "../worker/log-file.js";
import { hold } from "./holding.js";
import { alone, leaseOptions, noted, shareOptions } from "./options.js";
import { drawPatience, wait } from "./take.js";

/**
 * `withLock` and `tryWithLock`. The log has them as an acquire, which settles when the body begins, and a release, which begins when the
 * body ends.
 */
export const withLockAct: Act = {
  name: "withLock",
  weight: 8,
  async run(flow) {
    const { args, chance } = flow;
    const key = chance.pick(chance.is(0.5) ? args.keys.waits : args.keys.exclusive);
    return chance.is(0.6) ? await waitAndRun(flow, key, alone) : await tryAndRun(flow, key, alone);
  },
};

/** The body under a lock, as the log has it. */
class Body {
  readonly #flow: Flow;
  readonly #terms: Terms;
  readonly #acquire: OpenCall;
  #handle: Handle | undefined;
  #release: OpenCall | undefined;

  constructor(flow: Flow, terms: Terms, acquire: OpenCall) {
    this.#flow = flow;
    this.#terms = terms;
    this.#acquire = acquire;
  }

  readonly run = async (lock: Lock): Promise<string> => {
    const flow = this.#flow;
    const { args, chance, handles, log } = flow;
    const handle = handles.add(lock, this.#terms);
    this.#handle = handle;
    this.#acquire.end({ outcome: "done", grants: [handle.grant] });
    handles.sample(handle);
    await hold(flow, handle);
    this.#release = log.begin({
      call: "release",
      keys: [lock.key],
      lock: handle.grant.lock,
      by: "withLock",
      boundMs: boundOf(args),
    });
    if (chance.is(0.1)) throw new GivenUp("the body has failed");
    return "done";
  };

  /** Whether it ran, and what became of that. */
  end(): void {
    this.#release?.end({ outcome: "done" });
    this.#ended();
  }

  fail(error: unknown): void {
    if (this.#acquire.isOpen) {
      this.#acquire.fail(error);
      return;
    }
    // the body's own error comes back after the release
    if (error instanceof GivenUp) this.#release?.end({ outcome: "done" });
    else this.#release?.fail(error);
    this.#ended();
  }

  #ended(): void {
    if (this.#handle) this.#flow.handles.ended(this.#handle);
  }
}

export async function waitAndRun(flow: Flow, key: string, terms: Terms): Promise<boolean> {
  const { chance, log, locker } = flow;
  const options = leaseOptions(chance);
  const waiting = wait(flow, drawPatience(flow));
  const body = new Body(
    flow,
    terms,
    log.begin({ call: "acquire", keys: [key], terms, ...noted(options), ...waiting.noted }),
  );
  try {
    await locker.withLock(key, body.run, { ...options, ...shareOptions(terms), ...waiting.options });
    body.end();
    return true;
  } catch (error) {
    body.fail(error);
    return false;
  } finally {
    waiting.end();
  }
}

export async function tryAndRun(flow: Flow, key: string, terms: Terms): Promise<boolean> {
  const { args, chance, log, locker } = flow;
  const options = leaseOptions(chance);
  const acquire = log.begin({ call: "tryAcquire", keys: [key], terms, ...noted(options), boundMs: boundOf(args) });
  const body = new Body(flow, terms, acquire);
  try {
    const { acquired } = await locker.tryWithLock(key, body.run, { ...options, ...shareOptions(terms) });
    if (!acquired) acquire.end({ outcome: "nothing" });
    body.end();
    return acquired;
  } catch (error) {
    body.fail(error);
    return false;
  }
}
