import { Acquires } from "../acquire/acquires.js";
import type { AcquiresInit } from "../acquire/acquires-init.js";
import { Adoptions } from "../acquire/adopt.js";
import { keepEntriesOf } from "../acquire/keep-entries.js";
import { LocalQueues } from "../acquire/local-queues.js";
import { MixedCapacities } from "../acquire/mixed-capacities.js";
import { SetParts } from "../acquire/set-parts.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import { RetriesExhaustedError, WaitTimeoutError } from "../errors/errors.js";
import { Holdings } from "../hold/holdings.js";
import { Callbacks } from "../observe/callbacks.js";
import { Counters } from "../observe/counters/counters.js";
import { prefixBy } from "../observe/counters/prefixes.js";
import { Publisher } from "../observe/hooks/publisher.js";
import type { Observers } from "../observe/observer.js";
import { Recent } from "../observe/recent.js";
import { Activity } from "../runtime/activity.js";
import { Background } from "../runtime/background.js";
import type { Backend, BackendEvents } from "../store/backend.js";
import { Administration } from "./administration.js";
import { Calls } from "./calls.js";
import { Flushing } from "./flushing.js";
import { Leading } from "./lead.js";
import { Lifecycle } from "./lifecycle.js";
import { Sweeping } from "./sweeping.js";

/** What a locker consists of. */
export interface Parts {
  readonly backend: Backend;
  readonly publisher: Publisher;
  readonly recent: Recent;
  readonly queues: LocalQueues;
  readonly callbacks: Callbacks;
  readonly activity: Activity;
  readonly counters: Counters;
  readonly calls: Calls;
  readonly holdings: Holdings;
  readonly acquires: Acquires;
  readonly sets: SetParts;
  readonly adoptions: Adoptions;
  readonly leading: Leading;
  readonly administration: Administration;
  readonly lifecycle: Lifecycle;
}

export interface PartsInit {
  /** Of the locker over several instances, of which this is one. */
  readonly lockerId: number | undefined;
  readonly observers: Observers;
}

/** Makes the parts of a locker, and wires them together. They know each other by small interfaces; only here all are known. */
export function makeParts(
  options: ResolvedLockerOptions,
  makeBackend: (events: BackendEvents) => Backend,
  { lockerId, observers: observer }: PartsInit,
): Parts {
  const publisher = new Publisher(options.instance, lockerId);
  const callbacks = new Callbacks(options.onError, observer);
  const onError = (error: unknown): void => callbacks.report(error);
  const backend = makeBackend({
    onWake: (key) => (key === null ? queues.wakeAll() : void queues.wakeKey(key)),
    onReconnected: () => {
      callbacks.answered();
      holdings.proveAll();
      parts.proveAll();
      queues.keepEntriesNow();
    },
    onLost: (grant, reason) => {
      holdings.lose(grant, reason);
      parts.lose(grant, reason);
    },
    onError,
    onWait: (error) => callbacks.tell(error),
    onNotice: (notice) => callbacks.call(() => options.connection.onnotice?.(notice)),
    onFailure: (error) => recent.failed(error),
  });
  const { clock } = backend;
  const { requestTimeoutMs } = options;
  const recent = new Recent(clock, options);
  const queues = new LocalQueues(clock, (waits) => keepEntriesOf(backend, waits, requestTimeoutMs), requestTimeoutMs);
  const counters = new Counters({
    clock,
    prefixOf: prefixBy(options, onError),
    onCount: options.statsFlushMs === Number.POSITIVE_INFINITY ? null : () => flushing.schedule(),
  });
  const activity = new Activity(
    clock,
    options.idleTimeoutMs,
    () => lifecycle.rest(),
    () => sweeping.start(),
  );
  const flushing = new Flushing({ counters, backend, activity, everyMs: options.statsFlushMs, onError });
  const sweeping = new Sweeping({ backend, observer, everyMs: options.sweepEveryMs, onError });
  const background = new Background(clock, activity);
  const calls = new Calls({ backend, activity, requestTimeoutMs });
  const keeping = { options, backend, activity, background, callbacks, handOver: queues };
  // Nobody is told of what a set holds before it is whole.
  const parts = new Holdings({ ...keeping, observer: {} });
  const holdings = new Holdings({ ...keeping, observer, parts });
  const claims = { backend, queues, requestTimeoutMs, closed: calls.closed };
  const acquiring: Omit<AcquiresInit, "holdings"> = {
    claims,
    queues,
    activity,
    background,
    callbacks,
    mixedCapacities: new MixedCapacities(callbacks),
    observer,
    onAcquired: options.onAcquired,
    onOutage: (error) => callbacks.report(error, (late) => backend.explain(late)),
    onRecovered: () => callbacks.answered(),
    toError: refusalBy(holdings, parts),
  };
  const acquires = new Acquires({ ...acquiring, holdings });
  const sets = new SetParts({ ...acquiring, holdings, parts });
  const adoptions = new Adoptions({ claims, holdings, background, observer, isClosing: () => calls.isClosing });
  const leading = new Leading({ options, backend, calls, acquires, holdings, publisher, callbacks });
  const administration = new Administration({
    backend,
    calls,
    holdings,
    sweeping,
    requestTimeoutMs,
    onFreed: (key) => void queues.wakeKey(key),
  });
  const lifecycle = new Lifecycle({
    backend,
    acquires,
    sets,
    holdings,
    parts,
    activity,
    background,
    sweeping,
    flushing,
    calls,
    requestTimeoutMs,
  });
  for (const watcher of [recent, publisher, counters, callbacks]) {
    observer.add(watcher);
  }
  return {
    backend,
    publisher,
    recent,
    queues,
    callbacks,
    activity,
    counters,
    calls,
    holdings,
    acquires,
    sets,
    adoptions,
    leading,
    administration,
    lifecycle,
  };
}

/** The error of an acquire that was not granted. */
function refusalBy(holdings: Holdings, parts: Holdings): AcquiresInit["toError"] {
  const has = (key: string) => holdings.has(key) || parts.has(key);
  const hasAlone = (key: string) => holdings.hasAlone(key) || parts.hasAlone(key);
  return (key, { waitMs, share }, { outcome, blockingPid, tries, ...result }, deadlock) => {
    const holder = holdings.holderInfo(key, result.holder);
    if (outcome === "exhausted") {
      return new RetriesExhaustedError({ key, attempts: tries, holder, blockingPid });
    }
    const isHeldHere = has(key);
    const isUpgrade = isHeldHere && share === null && !hasAlone(key);
    const isShare = share !== null && !hasAlone(key);
    return new WaitTimeoutError({ key, waitMs, holder, blockingPid, isHeldHere, isUpgrade, isShare, deadlock });
  };
}
