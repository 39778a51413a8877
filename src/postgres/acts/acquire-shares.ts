import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import { answerBatch, mayWait, readOthers } from "./acquire-answers.js";
import { again, keysToTell, type Look } from "./acquire-busy.js";
import { type Acts, type Batch, leaseTerms, MAX_BATCH, type Proven } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";
import { BatchesBySort } from "./batches-by-sort.js";

/** Looks, first attempts or later ones, of acquires that share their keys, and whose terms are the same. */
export const ACQUIRE_SHARES: string = `select fences, acquired, expires, others, now
  from leasehold_internal.acquire_shares($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::int, $6::int, $7::bigint,
    $8::pg_catalog.text, $9::pg_catalog.text::boolean, $10::pg_catalog.text::double precision[],
    $11::pg_catalog.text::pg_catalog.text[], $12::pg_catalog.text::pg_catalog.uuid[], $13::pg_catalog.text::int[], $14::int,
    $15::int, $16::pg_catalog.text::bigint[], $17::pg_catalog.text::bigint[]), ${EXACT_TIMES}`;

export interface ShareLooksInit {
  readonly acts: Acts;
  /** For those whose root another grant has locked. */
  readonly busy: Batch<Look>;
  /** Asks for keys whose insert would wait for a stranger's transaction (rule 6). */
  readonly askCarefully: (looks: readonly Look[]) => Promise<void>;
}

/** Looks for shares. A batch decides for all of a key under one lock of its root. */
export function shareLooks({ acts, busy, askCarefully }: ShareLooksInit): BatchesBySort<Look> {
  const send = async (looks: readonly Look[]): Promise<void> => {
    let proven: Proven | null;
    try {
      proven = await ask(acts, looks);
    } catch (error) {
      if (troubleOf(error) !== "blocked") {
        throw error;
      }
      await askCarefully(looks);
      return;
    }
    if (proven === null) {
      for (const look of looks) {
        look.onAnswer({ outcome: "unproven" });
      }
      return;
    }
    const others = readOthers(proven) ?? [];
    await acts.sessionCheck.record(proven.session, others[0]?.outcome !== "unproven");
    const settled: Row[] = [];
    for (const row of others) {
      if (mayWait(row)) {
        busy.add(again(looks[Number(row.item) - 1] as Look, row)); // it is the number of one of them
      } else {
        settled.push(row);
      }
    }
    answerBatch(looks, proven, settled);
    acts.notifyNext(keysToTell(looks, settled));
  };
  return new BatchesBySort({ send, maxItems: MAX_BATCH, toPublicError: acts.toPublicError });
}

function ask(acts: Acts, looks: readonly Look[]): Promise<Proven | null> {
  const requests = looks.map(({ request }) => request);
  const [{ terms }] = requests as [Look["request"]]; // all have the same
  const hasTickets = requests.some(({ ticket }) => ticket !== null);
  return acts.askProven(acts.connections.commands, ACQUIRE_SHARES, [
    ...leaseTerms(terms),
    String(terms.queues),
    plainArray(requests, ({ notAfterMs }) => notAfterMs),
    textArray(requests, ({ key }) => key),
    plainArray(requests, ({ token }) => token),
    acts.session?.presence.formerIds ?? null,
    terms.share?.weight ?? null,
    terms.share?.capacity ?? null,
    hasTickets ? plainArray(requests, ({ ticket }) => ticket?.number ?? null) : null,
    hasTickets ? plainArray(requests, ({ ticket }) => ticket?.proof ?? null) : null,
  ]);
}
