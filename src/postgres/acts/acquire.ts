import type { AcquireAnswer, AcquireRequest, FirstAttempt } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import { ANSWER, answerFirst, mayWait, readOthers, toAnswer } from "./acquire-answers.js";
import { busyLooks, type KeyAnswer, type Look, termsOf } from "./acquire-busy.js";
import { type Acts, Asked, Batch, inOrder, MAX_BATCH, MAX_CYCLES, type Proven } from "./acts.js";

// Columns have names of one lower-case word: a given client may rename all others (`transform: postgres.camel`).

/** The first attempts of acquires whose terms are the same. */
export const ACQUIRE_FIRST: string = `select fences, acquired, expires, others, now
  from leasehold_internal.acquire_first($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::int, $6::int, $7::bigint,
    $8::pg_catalog.text, $9::pg_catalog.text::boolean, $10::double precision, $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::pg_catalog.uuid[], $13::pg_catalog.text::int[]), ${EXACT_TIMES}`;

/** The same of acquires that share their keys. */
export const ACQUIRE_SHARES: string = `select fences, acquired, expires, others, now
  from leasehold_internal.acquire_shares($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::int, $6::int, $7::bigint,
    $8::pg_catalog.text, $9::pg_catalog.text::boolean, $10::double precision, $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::pg_catalog.uuid[], $13::pg_catalog.text::int[], $14::int, $15::int), ${EXACT_TIMES}`;

/** Several looks, each with its own terms. */
export const ACQUIRE: string = `select item, ${ANSWER}
  from leasehold_internal.acquire($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text::boolean,
    $5::pg_catalog.text::pg_catalog.text[], $6::pg_catalog.text::pg_catalog.uuid[], $7::pg_catalog.text::pg_catalog.text[],
    $8::pg_catalog.text::int[],
    $9::pg_catalog.text::int[], $10::pg_catalog.text::bigint[], $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::double precision[], $13::pg_catalog.text::boolean[], $14::pg_catalog.text::bigint[],
    $15::pg_catalog.text::bigint[], $16::pg_catalog.text::int[], $17::pg_catalog.text::int[], $18::pg_catalog.text::int[]),
    ${EXACT_TIMES}`;

/** One look. */
export const ACQUIRE_ONE: string = `select ${ANSWER}
  from leasehold_internal.acquire_one($1::int, $2::pg_catalog.uuid, $3::int, false, $4::pg_catalog.text, $5::pg_catalog.uuid,
    $6::pg_catalog.text, $7::int, $8::int, $9::bigint, $10::pg_catalog.text, $11::double precision,
    $12::pg_catalog.text::boolean, $13::bigint, $14::bigint, $15::pg_catalog.text::int[], true, $16::int, $17::int), ${EXACT_TIMES}`;

/** How many sorts of terms have statements of their own at once. */
const MAX_SORTS = 8;

/** Everything that asks for a grant. */
export class AcquireAct {
  readonly #acts: Acts;
  /** First attempts by the sort of their terms, see GrantTerms. */
  readonly #firstAttempts = new Map<string, Batch<FirstAttempt>>();
  /** The batch of the sort that was asked for last. */
  #usual: Batch<FirstAttempt> | null = null;
  #usualSort = "";
  /** The looks of those that have no ticket yet. Kept apart, or the look of the next waiter would wait for the answer to these. */
  readonly #joins: Batch<Look>;
  readonly #looks: Batch<Look>;
  readonly #careful: Batch<Look>;
  /** Those that wait for their row, which is a shared key's. */
  readonly #busy: Batch<Look>;
  /** Keys that are missing, and whose insert would wait for a stranger's transaction (rule 6): they go one by one. */
  readonly #stuckKeys = new Set<string>();

  constructor(acts: Acts) {
    this.#acts = acts;
    const { toPublicError } = acts;
    this.#joins = new Batch({ send: (items) => this.#sendLooks(items), maxItems: MAX_BATCH, toPublicError });
    this.#looks = new Batch({ send: (items) => this.#sendLooks(items), maxItems: MAX_BATCH, toPublicError });
    this.#careful = new Batch({ send: (items) => this.#sendLooks(items, true), maxItems: MAX_BATCH, toPublicError });
    this.#busy = busyLooks(acts, (answers) => this.#tellOthers(answers));
  }

  readonly attempt = (attempt: FirstAttempt): void => {
    const { sort } = attempt.terms;
    const batch = sort === this.#usualSort && this.#stuckKeys.size === 0 ? this.#usual : this.#batchFor(attempt);
    if (batch !== null) {
      batch.add(attempt);
      return;
    }
    this.#settle(attempt, this.look(this.#toRequest(attempt)));
  };

  #toRequest({ key, token, terms, deadline }: FirstAttempt): AcquireRequest {
    return { key, token, terms, notAfterMs: this.#acts.clock.at(deadline) ?? 0, ticket: null };
  }

  #settle(attempt: FirstAttempt, asking: Promise<AcquireAnswer>): void {
    asking.then(
      (answer) => attempt.onAnswer(answer),
      (error) => attempt.onFailure(error),
    );
  }

  async look(request: AcquireRequest): Promise<AcquireAnswer> {
    const { key } = request;
    let isStuck = false;
    try {
      const batch = this.#stuckKeys.has(key) ? this.#careful : request.ticket === null ? this.#joins : this.#looks;
      const answer = await Asked.in<AcquireRequest, AcquireAnswer>(batch, request);
      isStuck = answer.outcome === "busy" && answer.holder === null;
      return answer;
    } finally {
      if (!isStuck) {
        this.#stuckKeys.delete(key);
      }
    }
  }

  /** Null: it goes with the looks, whose statement takes any terms, at twice the cost for the server. */
  #batchFor({ key, terms: { sort } }: FirstAttempt): Batch<FirstAttempt> | null {
    if (this.#stuckKeys.size > 0 && this.#stuckKeys.has(key)) {
      return null;
    }
    const known = this.#firstAttempts.get(sort);
    if (known !== undefined) {
      this.#usual = known;
      this.#usualSort = sort;
      return known;
    }
    if (this.#firstAttempts.size >= MAX_SORTS) {
      const idle = [...this.#firstAttempts].find(([, batch]) => batch.isIdle);
      if (idle === undefined) {
        return null;
      }
      this.#firstAttempts.delete(idle[0]);
    }
    const { toPublicError } = this.#acts;
    const batch = new Batch<FirstAttempt>({
      send: this.#sendFirst,
      maxItems: MAX_CYCLES,
      toPublicError,
    });
    this.#firstAttempts.set(sort, batch);
    return batch;
  }

  readonly #sendFirst = async (items: readonly FirstAttempt[]): Promise<void> => {
    const { connections, clock, session } = this.#acts;
    const [{ terms, deadline }] = items as [FirstAttempt]; // all have the same terms, and the first began first
    let keys = "";
    let tokens = "";
    for (const { key, token } of items) {
      keys += `${keys === "" ? "{" : ","}"${key.replace(/["\\]/g, "\\$&")}"`;
      tokens += `${tokens === "" ? "{" : ","}${token}`;
    }
    const { share } = terms;
    const shared = share === null ? [] : [share.weight, share.capacity];
    let proven: Proven | null;
    try {
      proven = await this.#acts.askProven(connections.commands, share === null ? ACQUIRE_FIRST : ACQUIRE_SHARES, [
        terms.owner,
        terms.ttlMs,
        terms.minHoldMs,
        terms.maxHoldMs === Number.POSITIVE_INFINITY ? null : terms.maxHoldMs,
        terms.metadata.json,
        String(terms.queues),
        clock.at(deadline) ?? 0,
        `${keys}}`,
        `${tokens}}`,
        session?.presence.formerIds ?? null,
        ...shared,
      ]);
    } catch (error) {
      if (troubleOf(error) !== "blocked") {
        throw error;
      }
      this.#askCarefully(items);
      return;
    }
    if (proven === null) {
      for (const item of items) {
        item.onAnswer({ outcome: "unproven" });
      }
      return;
    }
    const sure = proven;
    const others = readOthers(proven);
    await this.#acts.sessionCheck.record(proven.session, others === null || others[0]?.outcome !== "unproven");
    const again = (others ?? []).filter(mayWait);
    const rest = again.length === 0 ? others : (others ?? []).filter((row) => !mayWait(row));
    answerFirst(items, proven, rest);
    for (const { item } of again) {
      const attempt = items[Number(item) - 1] as FirstAttempt; // it is the number of one of them
      this.#settle(attempt, Asked.in<AcquireRequest, AcquireAnswer>(this.#busy, this.#toRequest(attempt)));
    }
    if (share !== null) {
      this.#tellOthers((rest ?? []).map((row) => [items[Number(row.item) - 1]?.key ?? "", toAnswer(row, sure)]));
    }
  };

  /** Tells those that stand in the same queue, and fit beside what was granted. */
  #tellOthers(answers: readonly KeyAnswer[]): void {
    this.#acts.notifyNext(
      answers.filter(([, answer]) => answer.outcome === "granted" && answer.hasMore).map(([key]) => key),
    );
  }

  /** An insert would have waited for a stranger's transaction: none of it was done. */
  #askCarefully(items: readonly FirstAttempt[]): void {
    for (const item of items) {
      this.#stuckKeys.add(item.key);
    }
    for (const item of items) {
      this.attempt(item);
    }
  }

  async #sendLooks(looks: readonly Look[], isCareful = false): Promise<void> {
    let proven: Proven | null;
    try {
      proven = await this.#askAny(looks, isCareful);
    } catch (error) {
      if (isCareful || troubleOf(error) !== "blocked") {
        throw error;
      }
      for (const { request } of looks) {
        this.#stuckKeys.add(request.key);
      }
      proven = await this.#askAny(looks, true);
    }
    if (proven === null) {
      for (const look of looks) {
        look.onAnswer({ outcome: "unproven" });
      }
      return;
    }
    const sure = proven;
    const { rows } = proven.answer;
    const answers =
      looks.length === 1 ? [toAnswer(rows[0] as Row, sure)] : inOrder(looks.length, rows, (row) => toAnswer(row, sure));
    await this.#acts.sessionCheck.record(proven.session, answers[0]?.outcome !== "unproven");
    this.#tellOthers(looks.map(({ request }, index) => [request.key, answers[index] as AcquireAnswer]));
    const again = new Set(rows.filter(mayWait).map(({ item }) => Number(item ?? 1) - 1));
    looks.forEach((look, index) => {
      if (again.has(index)) {
        this.#busy.add(look);
      } else {
        look.onAnswer(answers[index] as AcquireAnswer); // every item has an answer
      }
    });
  }

  #askAny(looks: readonly Look[], isCareful: boolean): Promise<Proven | null> {
    const [only] = looks;
    if (only !== undefined && looks.length === 1 && !isCareful) {
      return this.#askOne(only.request);
    }
    const terms = [String(isCareful), ...termsOf(looks, this.#acts)];
    return this.#acts.askProven(this.#acts.connections.commands, ACQUIRE, terms);
  }

  #askOne({ key, token, terms, notAfterMs, ticket }: AcquireRequest): Promise<Proven | null> {
    return this.#acts.askProven(this.#acts.connections.commands, ACQUIRE_ONE, [
      key,
      token,
      terms.owner,
      terms.ttlMs,
      terms.minHoldMs,
      terms.maxHoldMs === Number.POSITIVE_INFINITY ? null : terms.maxHoldMs,
      terms.metadata.json,
      notAfterMs,
      String(terms.queues),
      ticket?.number.toString() ?? null,
      ticket?.proof.toString() ?? null,
      this.#acts.session?.presence.formerIds ?? null,
      terms.share?.weight ?? null,
      terms.share?.capacity ?? null,
    ]);
  }
}
