import type * as port from "../api/store.js";
import type { Instant } from "../runtime/clock.js";
import { describe } from "../runtime/describe.js";
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
  Takeover,
} from "./backend.js";
import { localBound } from "./server-clock.js";

// Requests and answers of a store, as the locker's parts work with them. A store is somebody's own code: what would make a lock believed for ever, a NaN
// for example, is refused here.

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
      return { outcome: "lost", reason: answer.reason };
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
        metadata,
        ...toProof(answer, asked),
      };
    }
    case "lost":
      return { outcome: "lost", reason: answer.reason };
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
  switch (answer.outcome) {
    case "released":
    case "expired":
    case "gone":
      return { outcome: answer.outcome, reason: answer.reason ?? null };
    default:
      throw unknownOutcome(answer);
  }
}

/** @throws TypeError */
export function toKeyState(answer: port.KeyState): KeyState {
  const { state, holder, acquiredAtMs, freeAtMs, metadata, waiters } = answer;
  const nowMs = finiteMs("nowMs", answer.nowMs);
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
    metadata,
    waiters,
    isBlocked: false,
    blockingPid: null,
    blockingTransaction: null,
  };
}

/** @throws TypeError */
export function toForceReleaseAnswer(answer: port.ForceReleaseAnswer): ForceReleaseAnswer {
  const holder = toHolder(answer.holder);
  return {
    outcome: answer.outcome,
    freeAtMs: answer.freeAtMs,
    holders: holder === null ? [] : [holder],
    isBlocked: false,
    blockingPid: null,
    blockingTransaction: null,
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
  return holder === null
    ? null
    : {
        owner: holder.owner,
        fence: fence(holder.fence),
        sessionId: null,
        expiresAtMs: finiteMs("expiresAtMs", holder.expiresAtMs),
      };
}

function toTakeover({ owner, fence, reason, sinceMs }: port.Takeover): Takeover {
  return { owner, fence, sessionId: null, reason, sinceMs };
}

/** @throws TypeError */
export function finiteMs(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new TypeError(`${name} is ${describe(value)} and should be a finite number`);
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
