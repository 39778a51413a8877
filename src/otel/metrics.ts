import type { Attributes, Meter } from "@opentelemetry/api";
import type {
  AcquireMessage,
  AcquireTrace,
  AdoptMessage,
  DetachMessage,
  LostMessage,
  ReleaseMessage,
  SweepMessage,
  TakeoverMessage,
} from "../observe/hooks/messages.js";
import { ActiveCounts } from "./active-counts.js";
import { type AttributesOf, instanceAttributes } from "./attributes.js";
import { errorType } from "./error-type.js";
import { Subscriptions } from "./subscriptions.js";

/** Upper bounds in seconds: from a grant at once to a wait of a minute, and to a hold of an hour. */
const WAIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const HOLD_BUCKETS = [...WAIT_BUCKETS, 300, 900, 3_600];

/** Records until the returned function is called. */
export function recordMetrics(meter: Meter, attributesOf: AttributesOf): () => void {
  const subscriptions = new Subscriptions();
  recordAcquires(meter, attributesOf, subscriptions);
  recordEnds(meter, attributesOf, subscriptions);
  recordSweeps(meter, subscriptions);
  const stops = [
    recordActiveLocks(meter, attributesOf, subscriptions),
    recordActiveWaits(meter, attributesOf, subscriptions),
  ];
  return () => {
    subscriptions.stop();
    for (const stop of stops) {
      stop();
    }
  };
}

function recordAcquires(meter: Meter, attributesOf: AttributesOf, subscriptions: Subscriptions): void {
  const duration = meter.createHistogram("leasehold.lock.acquire.duration", {
    description: "Time from the call that acquires to its end, whatever that is.",
    unit: "s",
    advice: { explicitBucketBoundaries: WAIT_BUCKETS },
  });
  const acquired = meter.createCounter("leasehold.lock.acquired", {
    description: "Locks that were granted.",
    unit: "{lock}",
  });
  const takenOver = meter.createCounter("leasehold.lock.taken_over", {
    description: "Locks that were granted although their last holder had not released them.",
    unit: "{lock}",
  });
  subscriptions.on<AcquireMessage>("leasehold:acquire", (message) => {
    const { outcome, waitedMs, isContended, error } = message;
    const attributes = attributesOf(message);
    const type: Attributes = outcome === "failed" ? { "error.type": errorType(error) } : {};
    duration.record(waitedMs / 1_000, { ...attributes, ...type, "leasehold.acquire.outcome": outcome });
    if (outcome === "granted") {
      acquired.add(1, { ...attributes, "leasehold.lock.contended": isContended });
    }
  });
  subscriptions.on<TakeoverMessage>("leasehold:takeover", (message) => {
    takenOver.add(1, { ...attributesOf(message), "leasehold.takeover.reason": message.reason });
  });
}

function recordEnds(meter: Meter, attributesOf: AttributesOf, subscriptions: Subscriptions): void {
  const duration = meter.createHistogram("leasehold.lock.hold.duration", {
    description: "Time from the grant of a lock to its release or loss.",
    unit: "s",
    advice: { explicitBucketBoundaries: HOLD_BUCKETS },
  });
  const lost = meter.createCounter("leasehold.lock.lost", {
    description: "Locks that were lost while they were held.",
    unit: "{lock}",
  });
  subscriptions.on<ReleaseMessage>("leasehold:release", (message) => {
    duration.record(message.heldMs / 1_000, { ...attributesOf(message), "leasehold.hold.end": "released" });
  });
  subscriptions.on<LostMessage>("leasehold:lost", (message) => {
    const attributes = attributesOf(message);
    duration.record(message.heldMs / 1_000, { ...attributes, "leasehold.hold.end": "lost" });
    lost.add(1, { ...attributes, "leasehold.loss.reason": message.reason });
  });
}

function recordSweeps(meter: Meter, subscriptions: Subscriptions): void {
  const purged = meter.createCounter("leasehold.sweep.purged", {
    description: "Rows that this process's sweeper has deleted.",
    unit: "{row}",
  });
  subscriptions.on<SweepMessage>("leasehold:sweep", (sweep) => {
    const { instance, leasesPurged, waitersPurged, sessionsPurged, countersPurged } = sweep;
    const rows = { leases: leasesPurged, waiters: waitersPurged, sessions: sessionsPurged, counters: countersPurged };
    for (const [table, count] of Object.entries(rows)) {
      purged.add(count, { ...instanceAttributes(instance), "leasehold.sweep.table": table });
    }
  });
}

/** Those that were granted or adopted since the start: a lock that was held before is not counted, nor is its end. */
function recordActiveLocks(meter: Meter, attributesOf: AttributesOf, subscriptions: Subscriptions): () => void {
  const active = new ActiveCounts<string>();
  const idOf = (lock: Pick<AcquireMessage, "lockerId" | "instance" | "key" | "fence">): string =>
    `${lock.lockerId} ${lock.instance} ${lock.fence} ${lock.key}`;
  subscriptions.on<AcquireMessage>("leasehold:acquire", (message) => {
    if (message.outcome === "granted") {
      active.add(idOf(message), attributesOf(message));
    }
  });
  subscriptions.on<AdoptMessage>("leasehold:adopt", (message) => active.add(idOf(message), attributesOf(message)));
  subscriptions.on<ReleaseMessage>("leasehold:release", (message) => active.remove(idOf(message)));
  subscriptions.on<DetachMessage>("leasehold:detach", (message) => active.remove(idOf(message)));
  subscriptions.on<LostMessage>("leasehold:lost", (message) => active.remove(idOf(message)));
  return active.observe(
    meter.createObservableUpDownCounter("leasehold.locks.active", {
      description: "Locks that this process holds.",
      unit: "{lock}",
    }),
  );
}

function recordActiveWaits(meter: Meter, attributesOf: AttributesOf, subscriptions: Subscriptions): () => void {
  const active = new ActiveCounts<AcquireTrace>();
  subscriptions.on<AcquireTrace>("tracing:leasehold:acquire:start", (trace) => {
    if (trace.waitMs > 0) {
      active.add(trace, attributesOf(trace));
    }
  });
  subscriptions.on<AcquireTrace>("tracing:leasehold:acquire:asyncEnd", (trace) => active.remove(trace));
  return active.observe(
    meter.createObservableUpDownCounter("leasehold.waits.active", {
      description: "Calls of this process that acquire, and would wait or retry.",
      unit: "{call}",
    }),
  );
}
