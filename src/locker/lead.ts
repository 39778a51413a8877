import type { Acquires } from "../acquire/acquires.js";
import type { LeadOptions } from "../api/lead-options.js";
import type { Lock } from "../api/lock.js";
import { checkKey } from "../config/key.js";
import { type ResolvedLeadOptions, resolveLeadOptions } from "../config/lead-options.js";
import type { ResolvedAcquireOptions, ResolvedLockerOptions } from "../config/resolve-options.js";
import { ClosedError, UnavailableError } from "../errors/errors.js";
import { checkFunction } from "../errors/option-checks.js";
import type { Holdings } from "../hold/holdings.js";
import type { Callbacks } from "../observe/callbacks.js";
import type { Publisher } from "../observe/hooks/publisher.js";
import { joinSignals } from "../runtime/joined-signals.js";
import type { Backend } from "../store/backend.js";
import { isEnded, isHopeless } from "../store/retry.js";
import type { Calls } from "./calls.js";
import { CampaignPace } from "./campaign-pace.js";
import { refuseReentry, runInside } from "./reentry.js";
import { type LeadBody, runTerm } from "./term.js";

export interface LeadingInit {
  readonly options: ResolvedLockerOptions;
  readonly backend: Backend;
  readonly calls: Calls;
  readonly acquires: Acquires;
  readonly holdings: Holdings;
  readonly publisher: Publisher;
  readonly callbacks: Callbacks;
}

/** Campaigns for a key, runs a body while it leads, and campaigns again after a loss. Each campaign is an acquire, and each term ends with a release. */
export class Leading {
  readonly #init: LeadingInit;

  constructor(init: LeadingInit) {
    this.#init = init;
  }

  /** See Locker. */
  async lead<Value>(key: string, body: LeadBody<Value>, options?: LeadOptions): Promise<Value | undefined> {
    const { options: locker, backend, calls, holdings } = this.#init;
    const fullKey = checkKey(key, locker.prefix);
    const run = checkFunction<LeadBody<Value>>("body", body);
    const resolved = resolveLeadOptions(locker, options);
    if (resolved.signal?.aborted) {
      return undefined;
    }
    const tracksReentry = locker.reentry === "throw";
    if (tracksReentry) {
      refuseReentry(fullKey, holdings.on(fullKey));
    }
    // The transaction around this call would not end before the call does: nothing that passes.
    const refused = backend.refuseHere?.() ?? null;
    if (refused !== null) {
      throw refused;
    }
    const inside: LeadBody<Value> = (lock, signal) => runInside(lock, () => run(lock, signal));
    // As one call, which keeps the process alive: also a leader that only waits for its signal.
    return await calls.run(() => this.#campaign(fullKey, tracksReentry ? inside : run, resolved));
  }

  async #campaign<Value>(
    key: string,
    body: LeadBody<Value>,
    { signal: stop, retry, draw }: ResolvedLeadOptions,
  ): Promise<Value | undefined> {
    const { callbacks } = this.#init;
    const pace = new CampaignPace(key, retry);
    const onError = (error: unknown): void => callbacks.report(error);
    const onThrown = (error: unknown): void =>
      callbacks.call(() => {
        throw error;
      });
    while (!stop?.aborted) {
      let lock: Lock;
      try {
        lock = await this.#acquire(key, { ...draw(), pace });
      } catch (error) {
        if (stop?.aborted) {
          break;
        }
        const failure = this.#passing(error);
        await this.#pause(() => pace.failed(failure), stop);
        continue;
      }
      const end = await runTerm({ lock, body, stop, onError, onThrown });
      if ("value" in end) {
        return end.value;
      }
      if (!stop?.aborted) {
        await this.#pause(() => pace.lost(end.loss), stop);
      }
    }
    return undefined;
  }

  #acquire(key: string, terms: ResolvedAcquireOptions): Promise<Lock> {
    const { calls, acquires, publisher } = this.#init;
    if (calls.isClosing) {
      return Promise.reject(new ClosedError());
    }
    return publisher.traceAcquire(
      key,
      terms,
      () => acquires.acquire(key, terms),
      (lock) => lock,
    );
  }

  /**
   * A wrong password, say, passes when it is changed back; but where this locker has never been connected, it is as wrong as it looks.
   * @throws what does not pass
   */
  #passing(error: unknown): UnavailableError {
    const { backend, callbacks } = this.#init;
    const mayPass = error instanceof UnavailableError && !(isHopeless(error) && (!backend.wasReady || isEnded(error)));
    if (!mayPass) {
      throw error;
    }
    callbacks.report(error);
    return error;
  }

  /** @throws {ClosedError} when the locker is closing: `pauseMs` is not asked then */
  async #pause(pauseMs: () => number, stop: AbortSignal | null): Promise<void> {
    const { calls, backend } = this.#init;
    if (calls.isClosing) {
      throw new ClosedError();
    }
    const ms = pauseMs();
    if (ms > 0) {
      const interrupts = joinSignals([stop, calls.closing]);
      await backend.clock.sleep(ms, { signal: interrupts.signal });
      interrupts.end();
    }
  }
}
