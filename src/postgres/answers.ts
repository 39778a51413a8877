import type { LossReason } from "../errors.js";
import type {
  AcquireAnswer,
  ForceReleaseAnswer,
  Holder,
  KeyState,
  Proof,
  ReleaseAnswer,
  RenewAnswer,
  Takeover,
  Ticket,
} from "../store.js";
import type { Answer } from "./lane.js";
import type { Row } from "./link.js";
import { localBound } from "./server-clock.js";

export function toAcquireAnswer(row: Row, answer: Answer, incarnation: number): AcquireAnswer {
  switch (row.outcome) {
    case "granted":
      return {
        outcome: "granted",
        fence: BigInt(String(row.fence)),
        acquiredAtMs: Number(row.acquired),
        takeover: toTakeover(row),
        ...toProof(row, answer, incarnation),
      };
    case "queued":
      return {
        outcome: "queued",
        ticket: toTicket(row),
        lookInMs: toLookInMs(row),
        holder: toHolder(row),
      };
    case "held":
      return { outcome: "held", holder: toHolder(row) };
    case "busy":
      return {
        outcome: "busy",
        ticket: row.ticket === null ? null : toTicket(row),
        holder: toHolder(row),
        blockingPid: row.blocker as number | null,
      };
    case "late":
    case "unproven":
      return { outcome: row.outcome };
    default:
      throw new TypeError(`acquire answered ${String(row.outcome)}`);
  }
}

export function toReleaseAnswer(row: Row): ReleaseAnswer {
  return { outcome: row.outcome as ReleaseAnswer["outcome"], reason: row.reason as LossReason | null };
}

export function toRenewAnswer(row: Row, answer: Answer, incarnation: number): RenewAnswer {
  switch (row.outcome) {
    case "renewed":
      return { outcome: "renewed", ...toProof(row, answer, incarnation) };
    case "lost":
      return { outcome: "lost", reason: row.reason as LossReason };
    case "busy":
    case "unproven":
      return { outcome: row.outcome };
    default:
      throw new TypeError(`renew answered ${String(row.outcome)}`);
  }
}

export function toForceReleaseAnswer(answer: Answer): ForceReleaseAnswer {
  const row = answer.rows[0] as Row; // one row, always
  return {
    outcome: row.outcome as ForceReleaseAnswer["outcome"],
    fence: row.fence === null ? null : BigInt(String(row.fence)),
    owner: row.owner as string | null,
    expiresAtMs: row.expires as number | null,
    blockingPid: row.blocker as number | null,
  };
}

export function toKeyState(answer: Answer): KeyState {
  const row = answer.rows[0] as Row; // one row, always
  const expiresAtMs = row.expires as number | null;
  return {
    state: row.state as KeyState["state"],
    owner: row.owner as string | null,
    fence: row.fence === null ? null : BigInt(String(row.fence)),
    sessionId: row.session as number | null,
    isSessionAlive: row.alive as boolean | null,
    acquiredAtMs: row.acquired as number | null,
    expiresAtMs,
    remainingMs: expiresAtMs === null ? null : Math.max(0, expiresAtMs - Number(row.now)),
    metadata: row.metadata as string | null,
    waiters: Number(row.waiters),
    blockingPid: row.blocker as number | null,
    blockingTransaction: row.gid as string | null,
  };
}

function toProof(row: Row, answer: Answer, incarnation: number): Proof {
  const expiresAtMs = Number(row.expires);
  return {
    until: localBound(expiresAtMs, { sentAt: answer.sentAt, serverMs: Number(row.now) }),
    expiresAtMs,
    incarnation,
  };
}

function toTicket({ ticket, proof }: Row): Ticket {
  return { place: BigInt(String(ticket)), proof: BigInt(String(proof)) };
}

/** 0: at once. What has passed already decided nothing: then the poll is soon enough. */
function toLookInMs({ look, now }: Row): number | null {
  const ms = look === null || look === 0 ? (look as 0 | null) : Math.ceil(Number(look) - Number(now)) + 1;
  return ms === null || ms < 0 ? null : ms;
}

function toTakeover(row: Row): Takeover | null {
  return row.takeover === null
    ? null
    : {
        owner: row.holder as string | null,
        fence: BigInt(String(row.holderfence)),
        sessionId: row.holdersession as number | null,
        reason: row.takeover as Takeover["reason"],
        sinceMs: row.since as number | null,
      };
}

function toHolder(row: Row): Holder | null {
  return row.expires === null
    ? null
    : {
        owner: row.holder as string | null,
        fence: BigInt(String(row.holderfence)),
        sessionId: row.holdersession as number | null,
        expiresAtMs: Number(row.expires),
      };
}
