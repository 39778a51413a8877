import { type LossReason, UnavailableError } from "../../errors/errors.js";
import { after, type Instant, isPast, now } from "../../runtime/clock.js";
import type { PendingRenewal, RenewAnswer } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import { type Acts, Batch, MAX_BATCH, type Proven, toProof } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";

/** Leases that are renewed for the same time. */
export const RENEW: string = `select expires, others, now
  from leasehold_internal.renew($1::int, $2::pg_catalog.uuid, $3::int, $4::int, $5::pg_catalog.text::pg_catalog.text[],
    $6::pg_catalog.text::pg_catalog.uuid[], $7::pg_catalog.text::bigint[], $8::pg_catalog.text::int[]), ${EXACT_TIMES}`;

export const RENEW_BUSY: string = `select item, outcome, expires, reason, now
  from leasehold_internal.renew_busy($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::pg_catalog.uuid,
    $6::bigint, $7::int, $8::pg_catalog.text::int[]), ${EXACT_TIMES}`;

/** A renewal whose row was locked waits this long for its turn at waiting for it; then a batch is tried again. */
const BUSY_TURN_MS = 500;

/** A renewal that was not plain. */
type OtherRow = readonly [item: number, outcome: string, expires: number | null, reason: LossReason | null];

/** A renewal whose row somebody else had locked. */
interface BusyRenewal {
  readonly renewal: PendingRenewal;
  readonly giveUpAt: Instant;
  onFailure: PendingRenewal["onFailure"];
}

/** Renews leases, on a connection of their own: no command delays a renewal. */
export class RenewAct {
  readonly #acts: Acts;
  readonly #renewals: Batch<PendingRenewal>;
  /** One at a time, for each may wait for its row: batches of others pass in between. */
  readonly #busy: Batch<BusyRenewal>;

  constructor(acts: Acts) {
    this.#acts = acts;
    const { toPublicError } = acts;
    this.#renewals = new Batch({ send: (items) => this.#send(items), maxItems: MAX_BATCH, toPublicError });
    this.#busy = new Batch({ send: (items) => this.#sendBusy(items), maxItems: 1, toPublicError });
  }

  readonly renew = (renewal: PendingRenewal): void => {
    this.#renewals.add(renewal);
  };

  /** A statement for each time that is asked for: as a rule there is one. */
  async #send(items: readonly PendingRenewal[]): Promise<void> {
    const ttls = [...new Set(items.map(({ askedTtlMs }) => askedTtlMs))];
    // Made before the first is sent: a lease that is answered may be due again, with another time, while the next is on its way.
    const groups = ttls.map((ttlMs) => ({
      ttlMs,
      alike: ttls.length === 1 ? items : items.filter(({ askedTtlMs }) => askedTtlMs === ttlMs),
    }));
    for (const { ttlMs, alike } of groups) {
      try {
        await this.#sendAlike(ttlMs, alike);
      } catch (error) {
        if (alike === items) {
          throw error;
        }
        for (const item of alike) {
          item.onFailure(this.#acts.toPublicError(error));
        }
      }
    }
  }

  async #sendAlike(ttlMs: number | null, items: readonly PendingRenewal[]): Promise<void> {
    const proven = await this.#acts.askProven(this.#acts.connections.renewals, RENEW, [
      ttlMs,
      textArray(items, (item) => item.key),
      plainArray(items, (item) => item.token),
      plainArray(items, (item) => item.fence),
      this.#acts.session?.presence.formerIds ?? null,
    ]);
    if (proven === null) {
      throw noSession();
    }
    const row = proven.answer.rows[0] as Row; // one row, always
    const others = row.others === null ? [] : (JSON.parse(row.others as string) as OtherRow[]);
    await this.#acts.sessionCheck.record(proven.session, others[0]?.[1] !== "unproven");
    const special = new Array<RenewAnswer | undefined>(others.length === 0 ? 0 : items.length);
    for (const [item, outcome, expires, reason] of others) {
      special[item - 1] = toAnswer(outcome, expires, reason, proven);
    }
    const plain: RenewAnswer | null =
      row.expires === null ? null : { outcome: "renewed", ...toProof(Number(row.expires), proven) };
    items.forEach((item, index) => {
      const answer = special[index] ?? plain ?? { outcome: "unproven" };
      if (answer.outcome === "busy") {
        const giveUpAt = after(now(), BUSY_TURN_MS);
        this.#busy.add({ renewal: item, giveUpAt, onFailure: (error) => item.onFailure(error) });
      } else {
        item.onAnswer(answer);
      }
    });
  }

  /** Waits for the row, alone: under SKIP LOCKED a lease that is often locked would never be renewed (rule 6). */
  async #sendBusy([item]: readonly BusyRenewal[]): Promise<void> {
    if (item === undefined) {
      return;
    }
    const { renewal, giveUpAt } = item;
    renewal.onAnswer(isPast(giveUpAt) ? { outcome: "busy" } : await this.#askBusy(renewal));
  }

  async #askBusy({ key, token, fence, askedTtlMs }: PendingRenewal): Promise<RenewAnswer> {
    let proven: Proven | null;
    try {
      const { connections, session } = this.#acts;
      const parameters = [key, token, String(fence), askedTtlMs, session?.presence.formerIds ?? null];
      proven = await this.#acts.askProven(connections.renewals, RENEW_BUSY, parameters);
    } catch (error) {
      if (troubleOf(error) === "blocked") {
        return { outcome: "busy" };
      }
      throw error;
    }
    if (proven === null) {
      throw noSession();
    }
    const { outcome, expires, reason } = proven.answer.rows[0] as Row;
    await this.#acts.sessionCheck.record(proven.session, outcome !== "unproven");
    return toAnswer(outcome as string, expires as number | null, reason as LossReason | null, proven);
  }
}

function noSession(): UnavailableError {
  const message =
    "The session's connection to Postgres was lost, so nothing could be renewed. Nothing was sent. It reconnects by itself, and renews then.";
  return new UnavailableError({ outcome: "not-sent", message });
}

function toAnswer(outcome: string, expires: number | null, reason: LossReason | null, proven: Proven): RenewAnswer {
  switch (outcome) {
    case "renewed":
      return { outcome: "renewed", ...toProof(Number(expires), proven) };
    case "lost":
      return { outcome: "lost", reason: reason as LossReason };
    case "busy":
    case "unproven":
      return { outcome };
    default:
      throw new TypeError(`renew answered ${outcome}`);
  }
}
