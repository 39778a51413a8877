import type { PingResult, SweepResult } from "../api/results.js";
import type * as port from "../api/store.js";
import type { LossReason } from "../errors/errors.js";
import type { Instant } from "../runtime/clock.js";
import { describe, describeType } from "../runtime/describe.js";
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
} from "./backend.js";
import { localBound } from "./server-clock.js";

// Requests and answers of a store, as the locker's parts work with them. A store is somebody's own code: what would make a lock believed for ever, a NaN
// for example, is refused here.

/** No Date is further from 1970. */
const MAX_DATE_MS = 8.64e15;

/** Objects, so that the compiler notices what is missing. */
const lossReasons: Readonly<Record<LossReason, true>> = {
  expired: true,
  taken: true,
  "max-hold": true,
  forced: true,
  closed: true,
};
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
  { owner, ttlMs, minHoldMs, maxHoldMs, metadata, queues }: GrantTerms,
  notAfterMs: number,
  ticket: bigint | null,
): port.AcquireRequest {
  return {
    key,
    token,
    owner,
    ttlMs,
    minHoldMs,
    maxHoldMs: maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs,
    metadata: metadata.json,
    waits: queues,
    ticket,
    notAfterMs,
  };
}

/** @throws TypeError when it is no answer of the port */
export function toAcquireAnswer(answer: port.AcquireAnswer, asked: Asked): AcquireAnswer {
  switch (answer.outcome) {
    case "granted":
      return {
        outcome: "granted",
        fence: fence(answer.fence),
        acquiredAtMs: finiteMs("acquiredAtMs", answer.acquiredAtMs),
        takeover: answer.takeover ? toTakeover(answer.takeover) : null,
        ...toProof(answer, asked),
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

/** @throws TypeError */
export function toKeyState(answer: port.KeyState): KeyState {
  const { state, waiters } = answer;
  if (!Object.hasOwn(keyStates, state)) {
    throw new TypeError(`its state is ${describe(state)}`);
  }
  const nowMs = finiteMs("nowMs", answer.nowMs);
  const holder = toHolder(answer.holder);
  const acquiredAtMs = msOrNull("acquiredAtMs", answer.acquiredAtMs);
  const freeAtMs = msOrNull("freeAtMs", answer.freeAtMs);
  const isOver = state === "expired" || state === "orphaned";
  const expiresAtMs = isOver ? (holder?.expiresAtMs ?? null) : freeAtMs;
  return {
    state,
    owner: holder?.owner ?? null,
    fence: holder?.fence ?? null,
    sessionId: null,
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
  const holder = toHolder(answer.holder);
  return {
    outcome,
    freeAtMs: msOrNull("freeAtMs", answer.freeAtMs),
    holders: holder === null ? [] : [holder],
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

function toProof({ expiresAtMs, nowMs }: port.Validity, { sentAt, incarnation }: Asked): Proof {
  const serverMs = finiteMs("nowMs", nowMs);
  return {
    until: localBound(finiteMs("expiresAtMs", expiresAtMs), { sentAt, serverMs }),
    expiresAtMs,
    incarnation,
  };
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
    fence: fence(holder.fence),
    sessionId: null,
    expiresAtMs: finiteMs("holder.expiresAtMs", holder.expiresAtMs),
  };
}

function toTakeover({ owner, fence, reason, sinceMs }: port.Takeover): Takeover {
  return { owner, fence, sessionId: null, reason, sinceMs };
}

/** An answer that has to be an object. @throws TypeError */
export function answered<Answer>(answer: Answer): Answer {
  if (typeof answer === "object" && answer !== null) return answer;
  throw new TypeError(`it answered ${describe(answer)} and should answer an object`);
}

/** @throws TypeError */
export function finiteMs(name: string, value: unknown): number {
  const ms = finite(name, value);
  if (Math.abs(ms) <= MAX_DATE_MS) return ms;
  throw new TypeError(`${name} is ${describe(value)}, which is no time in milliseconds`);
}

function msOrNull(name: string, value: unknown): number | null {
  return value === null ? null : finiteMs(name, value);
}

function finite(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new TypeError(`${name} is ${describe(value)} and should be a finite number`);
}

/** Null when there is none, or one that nobody knows: what has ended has ended, whatever is said of the reason. */
function lossReason(value: unknown): LossReason | null {
  return typeof value === "string" && Object.hasOwn(lossReasons, value) ? (value as LossReason) : null;
}

function json(metadata: unknown): string | null {
  if (metadata === null) {
    return null;
  }
  try {
    JSON.parse(metadata as string);
    return metadata as string;
  } catch {
    throw new TypeError(`metadata is ${describeType(metadata)} and should be JSON text, or null`);
  }
}

function fence(value: unknown): bigint {
  return integer("fence", value);
}

function integer(name: string, value: unknown): bigint {
  if (typeof value === "bigint") return value;
  throw new TypeError(`${name} is ${describe(value)} and should be a bigint`);
}

function unknownOutcome({ outcome }: { readonly outcome: unknown }): TypeError {
  return new TypeError(`its outcome is ${describe(outcome)}`);
}
