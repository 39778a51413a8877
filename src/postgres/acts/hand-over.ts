import type { LossReason } from "../../errors/errors.js";
import type { AdoptAnswer, AdoptRequest, DetachRequest, RenewAnswer } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { type Acts, type Proven, toProof } from "./acts.js";

// A lock that changes hands: taken off a session, and given another token and another session. Rare, so each is a statement of its own.

export const DETACH: string = `select outcome, expires, reason, now
  from leasehold_internal.detach_lock($1::int, $2::pg_catalog.uuid, $3::pg_catalog.text, $4::pg_catalog.uuid, $5::bigint, $6::int),
    ${EXACT_TIMES}`;

export const ADOPT: string = `select outcome, reason, holder, blocker, acquired, expires, maxhold, metadata, weight, capacity, now
  from leasehold_internal.adopt($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::pg_catalog.uuid, $6::bigint,
    $7::pg_catalog.uuid, $8::pg_catalog.text, $9::int, $10::bigint, $11::double precision,
    $12::pg_catalog.text::int[]), ${EXACT_TIMES}`;

/** Takes a lease off the session of this process, and renews it. On the connection of the renewals, as it is one. */
export async function detach(acts: Acts, { key, token, fence, ttlMs }: DetachRequest): Promise<RenewAnswer> {
  const parameters = [key, token, String(fence), ttlMs];
  const proven = await acts.askProven(acts.connections.renewals, DETACH, parameters, { withDelay: false });
  if (proven === null) {
    return { outcome: "unproven" };
  }
  const { outcome, expires, reason } = proven.answer.rows[0] as Row; // one row, always
  await acts.sessionCheck.record(proven.session, outcome !== "unproven");
  switch (outcome) {
    case "renewed":
      return { outcome, ...toProof(Number(expires), proven) };
    case "lost":
      return { outcome, reason: reason as LossReason };
    case "busy":
    case "unproven":
      return { outcome };
    default:
      throw new TypeError(`detach_lock answered ${String(outcome)}`);
  }
}

/** Gives a grant another token, and the session of this process. */
export async function adopt(acts: Acts, request: AdoptRequest): Promise<AdoptAnswer> {
  const { key, token, fence, newToken, terms, notAfterMs } = request;
  const { owner, ttlMs, maxHoldMs } = terms;
  const proven = await acts.askProven(acts.connections.commands, ADOPT, [
    key,
    token,
    String(fence),
    newToken,
    owner,
    ttlMs,
    maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs,
    notAfterMs,
    acts.session?.presence.formerIds ?? null,
  ]);
  if (proven === null) {
    return { outcome: "unproven" };
  }
  const row = proven.answer.rows[0] as Row; // one row, always
  await acts.sessionCheck.record(proven.session, row.outcome !== "unproven");
  return toAdoptAnswer(row, proven);
}

function toAdoptAnswer(row: Row, proven: Proven): AdoptAnswer {
  switch (row.outcome) {
    case "adopted": {
      const acquiredAtMs = Number(row.acquired);
      return {
        outcome: "adopted",
        acquiredAtMs,
        ageMs: Number(row.now) - acquiredAtMs,
        maxHoldUntilMs: row.maxhold as number | null,
        metadata: row.metadata as string | null,
        share: row.weight === null ? null : { weight: Number(row.weight), capacity: row.capacity as number | null },
        ...toProof(Number(row.expires), proven),
      };
    }
    case "lost":
      return { outcome: "lost", reason: row.reason as LossReason };
    case "attached":
      return { outcome: "attached", owner: row.holder as string | null };
    case "busy":
      return { outcome: "busy", blockingPid: row.blocker as number | null };
    case "late":
    case "unproven":
      return { outcome: row.outcome };
    default:
      throw new TypeError(`adopt answered ${String(row.outcome)}`);
  }
}
