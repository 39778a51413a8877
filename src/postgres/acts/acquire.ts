import type { AcquireAnswer, AcquireRequest, FirstAttempt, Holder, Takeover, Ticket } from "../../store/store.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { localBound } from "../connection/server-clock.js";
import { troubleOf } from "../connection/server-errors.js";
import { type Acts, inOrder, MAX_BATCH, type Proven } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";
import { Asked, Batch } from "./batch.js";

/** The first attempts of acquires whose terms are the same. */
export const ACQUIRE_FIRST: string = `select fences, acquired, expires, rest, now
  from leasehold_internal.acquire_first($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::int, $6::int, $7::bigint,
    $8::pg_catalog.text, $9::pg_catalog.text::boolean, $10::double precision, $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::pg_catalog.uuid[], $13::pg_catalog.text::int[]), ${EXACT_TIMES}`;

/** Any attempts and looks, each with its own terms and its place in the queue. */
export const ACQUIRE: string = `select item, outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, look, blocker, takeover, since, now, proof
  from leasehold_internal.acquire($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text::boolean,
    $5::pg_catalog.text::pg_catalog.text[], $6::pg_catalog.text::pg_catalog.uuid[], $7::pg_catalog.text::pg_catalog.text[],
    $8::pg_catalog.text::int[],
    $9::pg_catalog.text::int[], $10::pg_catalog.text::bigint[], $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::double precision[], $13::pg_catalog.text::boolean[], $14::pg_catalog.text::bigint[],
    $15::pg_catalog.text::bigint[], $16::pg_catalog.text::int[]), ${EXACT_TIMES}`;

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

type Look = Asked<AcquireRequest, AcquireAnswer>;

/** So many sorts of terms have statements of their own at once. */
const MAX_SORTS = 8;

/** Everything that asks for a grant. */
export class AcquireAct {
  readonly #acts: Acts;
  /** First attempts by the sort of their terms, see GrantTerms. */
  readonly #firstAttempts = new Map<string, Batch<FirstAttempt>>();
  /** The batch of the sort that was asked for last. */
  #usual: Batch<FirstAttempt> | null = null;
  #usualSort = "";
  readonly #looks: Batch<Look>;
  readonly #careful: Batch<Look>;
  /** Keys that are missing, and whose insert would wait for a stranger's transaction (rule 6): they go one by one. */
  readonly #stuckKeys = new Set<string>();

  constructor(acts: Acts) {
    this.#acts = acts;
    const { toPublicError } = acts;
    this.#looks = new Batch({ send: (items) => this.#sendLooks(items), maxItems: MAX_BATCH, toPublicError });
    this.#careful = new Batch({ send: (items) => this.#sendLooks(items, true), maxItems: MAX_BATCH, toPublicError });
  }

  readonly attempt = (attempt: FirstAttempt): void => {
    const { sort } = attempt.terms;
    const batch = sort === this.#usualSort && this.#stuckKeys.size === 0 ? this.#usual : this.#batchFor(attempt);
    if (batch !== null) {
      batch.add(attempt);
      return;
    }
    const { key, token, terms, deadline } = attempt;
    const notAfterMs = this.#acts.clock.at(deadline) ?? 0;
    this.look({ key, token, terms, notAfterMs, ticket: null }).then(
      (answer) => attempt.onAnswer(answer),
      (error) => attempt.onFailure(error),
    );
  };

  async look(request: AcquireRequest): Promise<AcquireAnswer> {
    const { key } = request;
    let isStuck = false;
    try {
      const batch = this.#stuckKeys.has(key) ? this.#careful : this.#looks;
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
      maxItems: MAX_BATCH,
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
    let proven: Proven | null;
    try {
      proven = await this.#acts.askProven(connections.commands, ACQUIRE_FIRST, [
        terms.owner,
        terms.ttlMs,
        terms.minHoldMs,
        terms.maxHoldMs === Number.POSITIVE_INFINITY ? null : terms.maxHoldMs,
        terms.metadata.json,
        terms.waitMs > 0 ? "true" : "false",
        clock.at(deadline) ?? 0,
        `${keys}}`,
        `${tokens}}`,
        session?.formerIds ?? null,
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
    const rest = readRest(proven);
    await this.#acts.sessionCheck.record(proven.session, rest === null || rest[0]?.outcome !== "unproven");
    answerFirst(items, proven, rest);
  };

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
    const answers = inOrder(looks.length, proven.answer.rows, (row) => toAnswer(row, sure));
    await this.#acts.sessionCheck.record(proven.session, answers[0]?.outcome !== "unproven");
    looks.forEach((look, index) => {
      look.onAnswer(answers[index] as AcquireAnswer); // every item has an answer
    });
  }

  #askAny(looks: readonly Look[], isCareful: boolean): Promise<Proven | null> {
    const requests = looks.map(({ request }) => request);
    return this.#acts.askProven(this.#acts.connections.commands, ACQUIRE, [
      String(isCareful),
      textArray(requests, ({ key }) => key),
      plainArray(requests, ({ token }) => token),
      textArray(requests, ({ terms }) => terms.owner),
      plainArray(requests, ({ terms }) => terms.ttlMs),
      plainArray(requests, ({ terms }) => terms.minHoldMs),
      plainArray(requests, ({ terms }) => (terms.maxHoldMs === Number.POSITIVE_INFINITY ? null : terms.maxHoldMs)),
      textArray(requests, ({ terms }) => terms.metadata.json),
      plainArray(requests, ({ notAfterMs }) => notAfterMs),
      plainArray(requests, ({ terms }) => terms.waitMs > 0),
      plainArray(requests, ({ ticket }) => ticket?.place ?? null),
      plainArray(requests, ({ ticket }) => ticket?.proof ?? null),
      this.#acts.session?.formerIds ?? null,
    ]);
  }
}

function answerFirst(items: readonly FirstAttempt[], proven: Proven, rest: readonly Row[] | null): void {
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

/** What was not granted at once, as the rows of acquire. */
function readRest({ answer }: Proven): readonly Row[] | null {
  const { rest, now } = answer.rows[0] as Row;
  return rest === null
    ? null
    : (JSON.parse(rest as string) as RestRow[]).map(
        ([
          item,
          outcome,
          fence,
          acquired,
          expires,
          ticket,
          holder,
          holderfence,
          holdersession,
          look,
          blocker,
          ...more
        ]) => {
          const [takeover, since, proof] = more;
          const about = { item, outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession };
          return { ...about, look, blocker, takeover, since, proof, now };
        },
      );
}

function toAnswer(row: Row, { answer, incarnation }: Proven): AcquireAnswer {
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
