import type { AcquireAnswer, AcquireRequest } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Parameter, Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import { ANSWER, toAnswer, toTicket } from "./acquire-answers.js";
import { type Acts, Batch, type Batched, inOrder, MAX_BATCH, type Proven } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";

export interface Look extends Batched {
  readonly request: AcquireRequest;
  onAnswer(answer: AcquireAnswer): void;
}

/** Several looks at one key that is shared, and whose root another grant had locked. */
export const ACQUIRE_BUSY: string = `select item, ${ANSWER}
  from leasehold_internal.acquire_busy($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text::pg_catalog.text[],
    $5::pg_catalog.text::pg_catalog.uuid[], $6::pg_catalog.text::pg_catalog.text[], $7::pg_catalog.text::int[],
    $8::pg_catalog.text::int[], $9::pg_catalog.text::bigint[], $10::pg_catalog.text::pg_catalog.text[],
    $11::pg_catalog.text::double precision[], $12::pg_catalog.text::boolean[], $13::pg_catalog.text::bigint[],
    $14::pg_catalog.text::bigint[], $15::pg_catalog.text::int[], $16::pg_catalog.text::int[], $17::pg_catalog.text::int[]),
    ${EXACT_TIMES}`;

/**
 * Looks that wait for their row, which is a shared key's. A statement for each key, on the connection of the renewals: it waits for up to 200 ms,
 * and commands of other keys must not.
 */
export function busyLooks(acts: Acts): Batch<Look> {
  const send = async (looks: readonly Look[]): Promise<void> => {
    let isKept = false;
    for (const key of new Set(looks.map(({ request }) => request.key))) {
      const alike = looks.filter(({ request }) => request.key === key);
      try {
        // One that is kept by an open transaction is waited for in vain: the others would have to wait for that, one after the other.
        const answers: readonly AcquireAnswer[] = isKept ? alike.map(stillBusy) : await ask(acts, alike);
        isKept ||= answers.some(({ outcome }) => outcome === "busy");
        alike.forEach((look, index) => {
          look.onAnswer(answers[index] as AcquireAnswer); // every item has an answer
        });
      } catch (error) {
        for (const look of alike) {
          look.onFailure(acts.toPublicError(error));
        }
      }
    }
  };
  return new Batch({ send, maxItems: MAX_BATCH, toPublicError: acts.toPublicError });
}

async function ask(acts: Acts, looks: readonly Look[]): Promise<readonly AcquireAnswer[]> {
  let proven: Proven | null;
  try {
    proven = await acts.askProven(acts.connections.renewals, ACQUIRE_BUSY, termsOf(looks, acts));
  } catch (error) {
    if (troubleOf(error) !== "blocked") {
      throw error;
    }
    return looks.map(stillBusy);
  }
  if (proven === null) {
    return looks.map(() => ({ outcome: "unproven" }));
  }
  const sure = proven;
  const { rows } = proven.answer;
  const answers = inOrder(looks.length, rows, (row) => toAnswer(row, sure));
  await acts.sessionCheck.record(proven.session, answers[0]?.outcome !== "unproven");
  acts.notifyNext(keysToTell(looks, rows));
  return answers;
}

/** A look that is asked again after this answer: with the ticket that it was given. */
export function again(look: Look, row: Row): Look {
  const ticket = toTicket(row) ?? look.request.ticket;
  return {
    request: { ...look.request, ticket },
    onAnswer: (answer) => look.onAnswer(answer),
    onFailure: (error) => look.onFailure(error),
  };
}

/** The keys with a grant beside which others of the queue fit, who are waiters of other processes, and have to be told. */
export function keysToTell(looks: readonly Look[], rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ outcome, nextlook }) => outcome === "granted" && nextlook === 0)
    .map(({ item }) => (looks[Number(item ?? 1) - 1] as Look).request.key);
}

/** What several looks are sent with: an array for each term. */
export function termsOf(looks: readonly Look[], acts: Acts): readonly Parameter[] {
  const requests = looks.map(({ request }) => request);
  return [
    textArray(requests, ({ key }) => key),
    plainArray(requests, ({ token }) => token),
    textArray(requests, ({ terms }) => terms.owner),
    plainArray(requests, ({ terms }) => terms.ttlMs),
    plainArray(requests, ({ terms }) => terms.minHoldMs),
    plainArray(requests, ({ terms }) => (terms.maxHoldMs === Number.POSITIVE_INFINITY ? null : terms.maxHoldMs)),
    textArray(requests, ({ terms }) => terms.metadata.json),
    plainArray(requests, ({ notAfterMs }) => notAfterMs),
    plainArray(requests, ({ terms }) => terms.queues),
    plainArray(requests, ({ ticket }) => ticket?.number ?? null),
    plainArray(requests, ({ ticket }) => ticket?.proof ?? null),
    acts.session?.presence.formerIds ?? null,
    plainArray(requests, ({ terms }) => terms.share?.weight ?? null),
    plainArray(requests, ({ terms }) => terms.share?.capacity ?? null),
  ];
}

function stillBusy({ request: { ticket } }: Look): AcquireAnswer {
  return { outcome: "busy", ticket, holder: null, blockingPid: null };
}
