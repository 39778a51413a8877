// One lock, asked for in one of the ways that there are.
import type { Lock, RetryStrategy, TryOptions } from "../../../src/index.js";
import type { Terms } from "../log.js";
import { boundOf, boundOfRetries, boundOfWait } from "../worker/bounds.js";
import { Cancelled } from "../worker/failure.js";
import type { Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import type { Call } from "../worker/log-file.js";
import { noted, shareOptions } from "./options.js";

/** Runs a call that grants one lock; null when it did not. */
export async function take(
  { log, handles }: Flow,
  call: Call,
  terms: Terms,
  run: () => Promise<Lock | null>,
): Promise<Handle | null> {
  let handle: Handle | null = null;
  await log.call({ terms, ...call }, run, (lock) => {
    if (lock === null) return { outcome: "nothing" };
    handle = handles.add(lock, terms);
    return { outcome: "done", grants: [handle.grant] };
  });
  if (handle !== null) handles.sample(handle);
  return handle;
}

export function tryToTake(flow: Flow, key: string, terms: Terms, options: TryOptions): Promise<Handle | null> {
  const { args, locker } = flow;
  const call: Call = { call: "tryAcquire", keys: [key], ...noted(options), boundMs: boundOf(args) };
  return take(flow, call, terms, () => locker.tryAcquire(key, { ...options, ...shareOptions(terms) }));
}

/** How a call waits. */
export type Patience =
  | { readonly kind: "a while"; readonly waitMs: number }
  | { readonly kind: "until cancelled"; readonly afterMs: number }
  /** It gives up after these. */
  | { readonly kind: "tries"; readonly delaysMs: readonly number[] };

export function drawPatience({ chance }: Flow): Patience {
  const kind = chance.number();
  if (kind < 0.12) return { kind: "a while", waitMs: 0 };
  if (kind < 0.45) return { kind: "a while", waitMs: chance.between(1, 300) };
  if (kind < 0.75) return { kind: "a while", waitMs: chance.between(500, 4_000) };
  if (kind < 0.88) return { kind: "until cancelled", afterMs: chance.between(0, 2_500) };
  return { kind: "tries", delaysMs: Array.from({ length: chance.between(0, 4) }, () => chance.between(0, 150)) };
}

export interface Waiting {
  readonly options: { readonly waitMs?: number; readonly retry?: RetryStrategy; readonly signal?: AbortSignal };
  readonly noted: Pick<Call, "waitMs" | "isCancelled" | "boundMs">;
  /** To be called when the call has settled. */
  end(): void;
}

/** The options of a call that waits so, and what the log says of it. */
export function wait({ args, stopping }: Flow, patience: Patience): Waiting {
  switch (patience.kind) {
    case "a while": {
      const { waitMs } = patience;
      return { options: { waitMs }, noted: { waitMs, boundMs: boundOfWait(args, waitMs) }, end: () => {} };
    }
    case "tries": {
      const { delaysMs } = patience;
      const retry = (attempt: number): number | null => delaysMs[attempt - 1] ?? null;
      return { options: { retry }, noted: { waitMs: null, boundMs: boundOfRetries(args, delaysMs) }, end: () => {} };
    }
    case "until cancelled": {
      const controller = new AbortController();
      const cancel = (): void => controller.abort(new Cancelled("the worker has cancelled it"));
      const timer = setTimeout(cancel, patience.afterMs);
      if (stopping.aborted) cancel();
      else stopping.addEventListener("abort", cancel, { once: true });
      return {
        options: { waitMs: Number.POSITIVE_INFINITY, signal: controller.signal },
        noted: { waitMs: null, isCancelled: true, boundMs: patience.afterMs },
        end: () => {
          clearTimeout(timer);
          stopping.removeEventListener("abort", cancel);
        },
      };
    }
  }
}

export async function waitToTake(
  flow: Flow,
  key: string,
  terms: Terms,
  options: TryOptions,
  patience: Patience = drawPatience(flow),
): Promise<Handle | null> {
  const { locker } = flow;
  const waiting = wait(flow, patience);
  const call: Call = { call: "acquire", keys: [key], ...noted(options), ...waiting.noted };
  const handle = await take(flow, call, terms, () =>
    locker.acquire(key, { ...options, ...shareOptions(terms), ...waiting.options }),
  );
  waiting.end();
  return handle;
}
