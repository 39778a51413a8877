import type { AcquireAnswer, FirstAttempt, Holder, Takeover, Ticket } from "../../store/store.js";
import type { Row } from "../connection/link.js";
import { localBound } from "../connection/server-clock.js";
import type { Proven } from "./acts.js";

/** One column of the rows in `rest`: what acquire answers, without the names. */
type RestRow = readonly [
  item: number,
  outcome: string,
  fence: string | null,
  acquired: number | null,
  expires: number | null,
  ticket: string | null,
  holder: string | null,
  holderfence: string | null,
  holdersession: number | null,
  look: number | null,
  blocker: number | null,
  takeover: string | null,
  since: number | null,
  proof: string | null,
];

/** Answers the first attempts of one statement. `rest`: what was not granted at once. */
export function answerFirst(items: readonly FirstAttempt[], proven: Proven, rest: readonly Row[] | null): void {
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
  for (const left of rest ?? []) {
    items[Number(left.item) - 1]?.onAnswer(toAnswer(left, proven));
  }
}

/** What was not granted at once, as the rows of acquire. By index: to take an array apart by a pattern takes ten times as long. */
export function readRest({ answer }: Proven): readonly Row[] | null {
  const { rest, now } = answer.rows[0] as Row;
  return rest === null
    ? null
    : (JSON.parse(rest as string) as RestRow[]).map((row) => ({
        item: row[0],
        outcome: row[1],
        fence: row[2],
        acquired: row[3],
        expires: row[4],
        ticket: row[5],
        holder: row[6],
        holderfence: row[7],
        holdersession: row[8],
        look: row[9],
        blocker: row[10],
        takeover: row[11],
        since: row[12],
        proof: row[13],
        now,
      }));
}

/** Reads one row of acquire or look. */
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
      };
    }
    case "queued":
      return { outcome: "queued", ticket: toTicket(row), lookInMs: toLookInMs(row), holder: toHolder(row) };
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
