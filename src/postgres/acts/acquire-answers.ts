import type { AcquireAnswer, Holder, Takeover, Ticket } from "../../store/messages.js";
import { localBound } from "../../store/server-clock.js";
import type { Row } from "../connection/link.js";
import type { Proven } from "./acts.js";

/** The columns of an answer to a look. */
export const ANSWER =
  "outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since, now, proof";

/** An answer in `others`: the columns of acquire, without their names. */
type OtherRow = readonly [
  item: number,
  outcome: string,
  fence: string | null,
  acquired: number | null,
  expires: number | null,
  ticket: string | null,
  holder: string | null,
  holderfence: string | null,
  holdersession: number | null,
  nextlook: number | null,
  blocker: number | null,
  takeover: string | null,
  since: number | null,
  proof: string | null,
];

interface Answerable {
  onAnswer(answer: AcquireAnswer): void;
}

/** Answers the items of one statement. `others`: the answers to those that were not granted plainly. */
export function answerBatch(items: readonly Answerable[], proven: Proven, others: readonly Row[] | null): void {
  const row = proven.answer.rows[0] as Row; // one row, always
  if (row.fences !== null) {
    const fences = (row.fences as string).split(",");
    const expiresAtMs = Number(row.expires);
    const acquiredAtMs = Number(row.acquired);
    const { incarnation } = proven;
    const until = localBound(expiresAtMs, { sentAt: proven.answer.sentAt, serverMs: Number(row.now) });
    items.forEach((item, index) => {
      const fence = fences[index];
      if (fence !== undefined && fence !== "") {
        item.onAnswer({
          outcome: "granted",
          fence: BigInt(fence),
          acquiredAtMs,
          takeover: null,
          until,
          expiresAtMs,
          incarnation,
        });
      }
    });
  }
  for (const left of others ?? []) {
    items[Number(left.item) - 1]?.onAnswer(toAnswer(left, proven));
  }
}

/** The answers to what was not granted plainly, as rows of acquire. Read by index: destructuring an array takes ten times as long. */
export function readOthers({ answer }: Proven): readonly Row[] | null {
  const { others, now } = answer.rows[0] as Row;
  return others === null
    ? null
    : (JSON.parse(others as string) as OtherRow[]).map((row) => ({
        item: row[0],
        outcome: row[1],
        fence: row[2],
        acquired: row[3],
        expires: row[4],
        ticket: row[5],
        holder: row[6],
        holderfence: row[7],
        holdersession: row[8],
        nextlook: row[9],
        blocker: row[10],
        takeover: row[11],
        since: row[12],
        proof: row[13],
        now,
      }));
}

/** Whether another grant of a shared key was being committed, which is worth waiting for. */
export function mayWait({ outcome, nextlook }: Row): boolean {
  return outcome === "busy" && nextlook === 0;
}

/** Reads one row of acquire or acquire_one. */
export function toAnswer(row: Row, { answer, incarnation }: Proven): AcquireAnswer {
  switch (row.outcome) {
    case "granted": {
      const expiresAtMs = Number(row.expires);
      return {
        outcome: "granted",
        fence: BigInt(String(row.fence)),
        acquiredAtMs: Number(row.acquired),
        takeover: toTakeover(row),
        until: localBound(expiresAtMs, { sentAt: answer.sentAt, serverMs: Number(row.now) }),
        expiresAtMs,
        incarnation,
        ...(row.nextlook !== null && { hasMore: true }),
        ...(row.blocker !== null && { otherCapacity: Number(row.blocker) }),
      };
    }
    case "queued":
      return { outcome: "queued", ticket: toTicket(row) as Ticket, lookInMs: toLookInMs(row), holder: toHolder(row) };
    case "held":
      return { outcome: "held", holder: toHolder(row) };
    case "busy":
      return {
        outcome: "busy",
        ticket: toTicket(row),
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

/** Null: it has no entry in the queue. */
export function toTicket({ ticket, proof }: Row): Ticket | null {
  return ticket === null ? null : { number: BigInt(String(ticket)), proof: BigInt(String(proof)) };
}

/** 0: look at once. A moment that has passed says nothing: then the usual poll is soon enough. */
function toLookInMs({ nextlook, now }: Row): number | null {
  const ms =
    nextlook === null || nextlook === 0 ? (nextlook as 0 | null) : Math.ceil(Number(nextlook) - Number(now)) + 1;
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
        weight: null,
        sessionId: row.holdersession as number | null,
        expiresAtMs: Number(row.expires),
      };
}
