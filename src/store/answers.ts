import type { PingResult, SweepResult } from "../api/results.js";
import type * as port from "../api/store.js";
import { modeOf, type ShareTerms } from "../config/share.js";
import type { Instant } from "../runtime/clock.js";
import { describe } from "../runtime/describe.js";
import {
  answered,
  finite,
  finiteMs,
  integer,
  json,
  listOf,
  lockMode,
  lossReason,
  msOrNull,
  unknownOutcome,
  weightOf,
} from "./answer-checks.js";
import type {
  AcquireAnswer,
  AdoptAnswer,
  ForceReleaseAnswer,
  GrantTerms,
  Holder,
  KeyState,
  Proof,
  ReleaseAnswer,
  RenewAnswer,
  SweepBatch,
  Takeover,
} from "./messages.js";
import { localBound } from "./server-clock.js";

// Requests and answers of a store, as the locker's parts work with them. A store is somebody's own code: what would make a lock believed for ever, a NaN
// for example, is refused here.

/** An object, so that the compiler notices one that is missing. */
const keyStates: Readonly<Record<port.KeyState["state"], true>> = {
  free: true,
  held: true,
  revoked: true,
  cooling: true,
  orphaned: true,
  expired: true,
};

/** When and under what a request was sent. */
export interface Asked {
  readonly sentAt: Instant;
  readonly incarnation: number;
}

/** A look at a key, as the port has it. */
export function toRequest(
  key: string,
  token: string,
  { owner, ttlMs, minHoldMs, maxHoldMs, metadata, share, queues }: GrantTerms,
  notAfterMs: number,
  ticket: bigint | null,
): port.AcquireRequest {
  return {
    key,
    token,
    owner,
    mode: modeOf(share),
    capacity: share === null ? null : share.capacity,
    weight: share === null ? 1 : share.weight,
    ttlMs,
    minHoldMs,
    maxHoldMs: maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs,
    metadata: metadata.json,
    waits: queues,
    ticket,
    notAfterMs,
  };
}

/** `isShared`: a share was asked for. @throws TypeError when it is no answer of the port */
export function toAcquireAnswer(answer: port.AcquireAnswer, asked: Asked, isShared: boolean): AcquireAnswer {
  switch (answer.outcome) {
    case "granted":
      return {
        outcome: "granted",
        fence: integer("fence", answer.fence),
        acquiredAtMs: finiteMs("acquiredAtMs", answer.acquiredAtMs),
        takeover: answer.takeover ? toTakeover(answer.takeover) : null,
        // Unless the store knows better, the next one looks: a look in vain costs less than a wait of a second.
        hasMore: isShared && answer.hasMore !== false,
        otherCapacity: answer.otherCapacity == null ? null : finite("otherCapacity", answer.otherCapacity),
        // Named one by one: this is made with every lock, and a spread takes longer than all else here.
        until: localEnd(answer, asked),
        expiresAtMs: answer.expiresAtMs,
        incarnation: asked.incarnation,
      };
    case "queued":
      return {
        outcome: "queued",
        ticket: { number: integer("ticket", answer.ticket), proof: 0n },
        lookInMs: answer.lookInMs === null ? null : finiteMs("lookInMs", answer.lookInMs),
        holder: toHolder(answer.holder),
      };
    case "held":
      return { outcome: "held", holder: toHolder(answer.holder) };
    case "late":
      return { outcome: "late" };
    default:
      throw unknownOutcome(answer);
  }
}

/** @throws TypeError */
export function toRenewAnswer(answer: port.RenewAnswer, asked: Asked): RenewAnswer {
  switch (answer.outcome) {
    case "renewed":
      return { outcome: "renewed", ...toProof(answer, asked) };
    case "lost":
      return { outcome: "lost", reason: lossReason(answer.reason) ?? "taken" };
    default:
      throw unknownOutcome(answer);
  }
}

/** @throws TypeError */
export function toAdoptAnswer(answer: port.AdoptAnswer, asked: Asked): AdoptAnswer {
  switch (answer.outcome) {
    case "adopted": {
      const acquiredAtMs = finiteMs("acquiredAtMs", answer.acquiredAtMs);
      const { maxHoldUntilMs, metadata } = answer;
      return {
        outcome: "adopted",
        acquiredAtMs,
        ageMs: answer.nowMs - acquiredAtMs,
        share: toShare(answer),
        maxHoldUntilMs: maxHoldUntilMs === null ? null : finiteMs("maxHoldUntilMs", maxHoldUntilMs),
        metadata: json(metadata),
        ...toProof(answer, asked),
      };
    }
    case "lost":
      return { outcome: "lost", reason: lossReason(answer.reason) ?? "taken" };
    case "attached":
      return { outcome: "attached", owner: answer.holder?.owner ?? null };
    case "late":
      return { outcome: "late" };
    default:
      throw unknownOutcome(answer);
  }
}

/** @throws TypeError */
export function toReleaseAnswer(answer: port.ReleaseAnswer): ReleaseAnswer {
  switch (answered(answer).outcome) {
    case "released":
    case "expired":
    case "gone":
      return { outcome: answer.outcome, reason: lossReason(answer.reason) };
    default:
      throw unknownOutcome(answer);
  }
}

/** The same of a share, where the store wakes all who are next. @throws TypeError */
export function toSharedReleaseAnswer(answer: port.ReleaseAnswer): ReleaseAnswer {
  return { ...toReleaseAnswer(answer), isNextOurs: null };
}

/** @throws TypeError */
export function toKeyState(answer: port.KeyState): KeyState {
  const { state, waiters } = answer;
  if (!Object.hasOwn(keyStates, state)) {
    throw new TypeError(`its state is ${describe(state)}`);
  }
  const mode = lockMode("mode", answer.mode);
  const nowMs = finiteMs("nowMs", answer.nowMs);
  const holders = toHolders(answer.holders);
  const [holder = null] = holders;
  const acquiredAtMs = msOrNull("acquiredAtMs", answer.acquiredAtMs);
  const freeAtMs = msOrNull("freeAtMs", answer.freeAtMs);
  const isOver = state === "expired" || state === "orphaned";
  const expiresAtMs = isOver ? (holder?.expiresAtMs ?? null) : freeAtMs;
  return {
    state,
    mode: state === "free" ? null : mode,
    owner: holder?.owner ?? null,
    fence: holder?.fence ?? null,
    sessionId: null,
    holders,
    isSessionAlive: state === "orphaned" ? false : null,
    acquiredAtMs,
    expiresAtMs,
    remainingMs: expiresAtMs === null ? null : Math.max(0, expiresAtMs - nowMs),
    metadata: json(answer.metadata),
    waiters: finite("waiters", waiters),
    isBlocked: false,
    blockingPid: null,
    blockingTransaction: null,
  };
}

/** @throws TypeError */
export function toForceReleaseAnswer(answer: port.ForceReleaseAnswer): ForceReleaseAnswer {
  const { outcome } = answered(answer);
  if (outcome !== "revoked" && outcome !== "released" && outcome !== "gone") {
    throw unknownOutcome(answer);
  }
  return {
    outcome,
    freeAtMs: msOrNull("freeAtMs", answer.freeAtMs),
    holders: toHolders(answer.holders),
    isBlocked: false,
    blockingPid: null,
    blockingTransaction: null,
  };
}

/** Whatever is neither of the two lets nobody write. @throws TypeError */
export function toFenceOutcome(outcome: unknown): "passed" | "stale" {
  if (outcome === "passed" || outcome === "stale") return outcome;
  throw new TypeError(`it answered ${describe(outcome)} and should answer "passed" or "stale"`);
}

/** @throws TypeError */
export function toPingResult(result: PingResult): PingResult {
  const { ms, serverVersion } = answered(result);
  if (typeof serverVersion === "string") return { ms: finite("ms", ms), serverVersion };
  throw new TypeError(`serverVersion is ${describe(serverVersion)} and should be a string`);
}

/** What a sweep of a store says in which nothing is left over. */
export const nothingSwept: SweepBatch = {
  woken: 0,
  leasesPurged: 0,
  waitersPurged: 0,
  sessionsPurged: 0,
  countersPurged: 0,
  isBusy: false,
  hasMore: false,
};

/** @throws TypeError */
export function toSweepBatch(result: SweepResult): SweepBatch {
  const { woken, leasesPurged, waitersPurged, sessionsPurged, countersPurged, isBusy } = answered(result);
  return {
    woken: finite("woken", woken),
    leasesPurged: finite("leasesPurged", leasesPurged),
    waitersPurged: finite("waitersPurged", waitersPurged),
    sessionsPurged: finite("sessionsPurged", sessionsPurged),
    countersPurged: finite("countersPurged", countersPurged),
    isBusy: isBusy === true,
    hasMore: false,
  };
}

function toProof(validity: port.Validity, asked: Asked): Proof {
  return { until: localEnd(validity, asked), expiresAtMs: validity.expiresAtMs, incarnation: asked.incarnation };
}

function localEnd({ expiresAtMs, nowMs }: port.Validity, { sentAt }: Asked): Instant {
  return localBound(finiteMs("expiresAtMs", expiresAtMs), { sentAt, serverMs: finiteMs("nowMs", nowMs) });
}

/** Null: it is exclusive. */
function toShare({ mode, capacity, weight }: port.AdoptedAnswer): ShareTerms | null {
  switch (lockMode("mode", mode)) {
    case "exclusive":
      return null;
    case "shared":
      return { weight: 1, capacity: null };
    case "semaphore":
      return { weight: weightOf("weight", weight), capacity: weightOf("capacity", capacity) };
  }
}

function toHolders(holders: readonly port.Holder[]): readonly Holder[] {
  return listOf("holders", holders).map((holder) => {
    const known = toHolder(holder);
    if (known !== null) return known;
    throw new TypeError("one of holders is null and should be an object");
  });
}

function toHolder(holder: port.Holder | null): Holder | null {
  if (holder === null) {
    return null;
  }
  if (typeof holder !== "object") {
    throw new TypeError(`holder is ${describe(holder)} and should be an object, or null`);
  }
  return {
    owner: holder.owner,
    weight: weightOf("holder.weight", holder.weight),
    fence: integer("fence", holder.fence),
    sessionId: null,
    expiresAtMs: finiteMs("holder.expiresAtMs", holder.expiresAtMs),
  };
}

function toTakeover({ owner, fence, reason, sinceMs }: port.Takeover): Takeover {
  return { owner, fence, sessionId: null, reason, sinceMs };
}
