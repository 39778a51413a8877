import type { AcquireAnswer, AcquireRequest, FirstAttempt } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import { ANSWER, answerBatch, mayWait, readOthers, toAnswer } from "./acquire-answers.js";
import { again, busyLooks, keysToTell, type Look, termsOf } from "./acquire-busy.js";
import { type ShareLooksInit, shareLooks } from "./acquire-shares.js";
import { type Acts, Asked, Batch, inOrder, leaseTerms, MAX_BATCH, MAX_CYCLES, type Proven } from "./acts.js";
import { BatchesBySort } from "./batches-by-sort.js";

// Columns have names of one lower-case word: a given client may rename all others (`transform: postgres.camel`).

/** The first attempts of acquires whose terms are the same. */
export const ACQUIRE_FIRST: string = `select fences, acquired, expires, others, now
  from leasehold_internal.acquire_first($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::int, $6::int, $7::bigint,
    $8::pg_catalog.text, $9::pg_catalog.text::boolean, $10::double precision, $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::pg_catalog.uuid[], $13::pg_catalog.text::int[]), ${EXACT_TIMES}`;

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

/** Everything that asks for a grant. */
export class AcquireAct {
  readonly #acts: Acts;
  readonly #firstAttempts: BatchesBySort<FirstAttempt>;
  /** The batch of the sort that was asked for last. */
  #usual: Batch<FirstAttempt> | null = null;
  #usualSort = "";
  /** The looks of those that have no ticket yet. Kept apart, or the look of the next waiter would wait for the answer to these. */
  readonly #joins: Batch<Look>;
  readonly #looks: Batch<Look>;
  /** Of shares: first attempts and those that have no ticket yet, and the others. */
  readonly #shareJoins: BatchesBySort<Look>;
  readonly #shareLooks: BatchesBySort<Look>;
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
    this.#busy = busyLooks(acts);
    this.#firstAttempts = new BatchesBySort({ send: this.#sendFirst, maxItems: MAX_CYCLES, toPublicError });
    const shares: ShareLooksInit = {
      acts,
      busy: this.#busy,
      askCarefully: (looks) => this.#askCarefully(looks),
    };
    this.#shareJoins = shareLooks(shares);
    this.#shareLooks = shareLooks(shares);
  }

  readonly attempt = (attempt: FirstAttempt): void => {
    const { key, terms } = attempt;
    if (this.#usual !== null && terms.sort === this.#usualSort && this.#stuckKeys.size === 0) {
      this.#usual.add(attempt);
    } else if (this.#stuckKeys.has(key)) {
      this.#settle(attempt, this.look(this.#toRequest(attempt)));
    } else if (terms.share !== null) {
      (this.#shareJoins.of(terms.sort) ?? this.#joins).add({
        request: this.#toRequest(attempt),
        onAnswer: (answer) => {
          this.#learn(key, answer);
          attempt.onAnswer(answer);
        },
        onFailure: (error) => attempt.onFailure(error),
      });
    } else {
      this.#usual = this.#firstAttempts.of(terms.sort);
      this.#usualSort = terms.sort;
      this.#usual === null ? this.#settle(attempt, this.look(this.#toRequest(attempt))) : this.#usual.add(attempt);
    }
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
    const batch = this.#stuckKeys.has(key) ? this.#careful : this.#batchOf(request);
    const answer = await Asked.in<AcquireRequest, AcquireAnswer>(batch, request);
    this.#learn(key, answer);
    return answer;
  }

  /** A key is stuck until an answer shows that it is not. */
  #learn(key: string, answer: AcquireAnswer): void {
    if (this.#stuckKeys.size > 0 && !(answer.outcome === "busy" && answer.holder === null)) {
      this.#stuckKeys.delete(key);
    }
  }

  #batchOf({ ticket, terms: { share, sort } }: AcquireRequest): Batch<Look> {
    const [shares, any] = ticket === null ? [this.#shareJoins, this.#joins] : [this.#shareLooks, this.#looks];
    return (share === null ? null : shares.of(sort)) ?? any;
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
    let proven: Proven | null;
    try {
      proven = await this.#acts.askProven(connections.commands, ACQUIRE_FIRST, [
        // leaseTerms, written out: this is sent for most locks.
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
      ]);
    } catch (error) {
      if (troubleOf(error) !== "blocked") {
        throw error;
      }
      // An insert would have waited for a stranger's transaction: none of it was done.
      for (const { key } of items) {
        this.#stuckKeys.add(key);
      }
      for (const item of items) {
        this.attempt(item);
      }
      return;
    }
    if (proven === null) {
      for (const item of items) {
        item.onAnswer({ outcome: "unproven" });
      }
      return;
    }
    const others = readOthers(proven);
    await this.#acts.sessionCheck.record(proven.session, others === null || others[0]?.outcome !== "unproven");
    answerBatch(items, proven, others);
  };

  /** The same of looks. Rejects when it has answered none. */
  #askCarefully(looks: readonly Look[]): Promise<void> {
    for (const { request } of looks) {
      this.#stuckKeys.add(request.key);
    }
    return this.#sendLooks(looks, true);
  }

  async #sendLooks(looks: readonly Look[], isCareful = false): Promise<void> {
    let proven: Proven | null;
    try {
      proven = await this.#askAny(looks, isCareful);
    } catch (error) {
      if (isCareful || troubleOf(error) !== "blocked") {
        throw error;
      }
      await this.#askCarefully(looks);
      return;
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
    this.#acts.notifyNext(keysToTell(looks, rows));
    const worthWaiting = new Map(rows.filter(mayWait).map((row) => [Number(row.item ?? 1) - 1, row]));
    looks.forEach((look, index) => {
      const row = worthWaiting.get(index);
      if (row !== undefined) {
        this.#busy.add(again(look, row));
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
      ...leaseTerms(terms),
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
