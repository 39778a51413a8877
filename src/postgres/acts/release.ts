import type { LossReason } from "../../errors/errors.js";
import type { AbandonRequest, PendingRelease, ReleaseAnswer } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { type Acts, Asked, Batch, inOrder, MAX_BATCH, MAX_CYCLES } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";

export const RELEASE: string = `select others, now
  from leasehold_internal.release(true, $1::pg_catalog.text::pg_catalog.text[], $2::pg_catalog.text::pg_catalog.uuid[],
    $3::pg_catalog.text::bigint[]), ${EXACT_TIMES}`;

/** The same of locks that share their keys. */
export const RELEASE_SHARES: string = RELEASE.replace(".release(", ".release_shares(");

export const ABANDON: string = `select item, outcome, reason, next, now
  from leasehold_internal.abandon(true, $1::pg_catalog.text::pg_catalog.text[], $2::pg_catalog.text::pg_catalog.uuid[],
    $3::pg_catalog.text::boolean[], $4::pg_catalog.text::boolean[]), ${EXACT_TIMES}`;

/**
 * A release that was not plain, or whose key somebody waits for: `next` is the session of who is next; of a share 0 when that is found out by the
 * statement that notifies.
 */
type OtherRow = readonly [
  item: number,
  outcome: ReleaseAnswer["outcome"],
  reason: LossReason | null,
  next: number | null,
];

const RELEASED: ReleaseAnswer = { outcome: "released", reason: null };
const SHARE_RELEASED: ReleaseAnswer = { ...RELEASED, isNextOurs: null };

type Abandon = Asked<AbandonRequest, ReleaseAnswer>;

/** Everything that gives a key back. */
export class ReleaseAct {
  /** Frees a grant by token and fence. */
  readonly release: (release: PendingRelease) => void;
  readonly #acts: Acts;
  readonly #abandons: Batch<Abandon>;

  constructor(acts: Acts) {
    this.#acts = acts;
    const { toPublicError } = acts;
    const alone = new Batch<PendingRelease>({
      send: (items) => this.#sendReleases(RELEASE, RELEASED, items),
      maxItems: MAX_CYCLES,
      toPublicError,
    });
    const shared = new Batch<PendingRelease>({
      // Without presence nobody is told, so waiters of this process look.
      send: (items) => this.#sendReleases(RELEASE_SHARES, acts.session === null ? RELEASED : SHARE_RELEASED, items),
      maxItems: MAX_BATCH,
      toPublicError,
    });
    this.release = (release) => (release.isShared ? shared : alone).add(release);
    this.#abandons = new Batch({ send: (items) => this.#sendAbandons(items), maxItems: MAX_BATCH, toPublicError });
  }

  /** By the token alone: frees what an acquire may have left, its entry in the queue as well as a grant. */
  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return Asked.in<AbandonRequest, ReleaseAnswer>(this.#abandons, request);
  }

  async #sendReleases(text: string, plain: ReleaseAnswer, items: readonly PendingRelease[]): Promise<void> {
    const { commands } = this.#acts.connections;
    const { keepsOrder } = commands;
    let keys = "";
    let tokens = "";
    let fences = "";
    for (const { key, token, fence } of items) {
      keys += `${keys === "" ? "{" : ","}"${key.replace(/["\\]/g, "\\$&")}"`;
      tokens += `${tokens === "" ? "{" : ","}${token}`;
      fences += `${fences === "" ? "{" : ","}${fence}`;
    }
    const answering = commands.query(text, [`${keys}}`, `${tokens}}`, `${fences}}`]);
    const told = keepsOrder ? items.filter((item) => item.onSent()).map(({ key }) => key) : [];
    this.#acts.notifyNext(told);
    const answer = await answering;
    this.#acts.learn(answer);
    const { others } = answer.rows[0] as Row; // one row, always
    const left = others === null ? [] : (JSON.parse(others as string) as OtherRow[]);
    const special = new Array<ReleaseAnswer | undefined>(left.length === 0 ? 0 : items.length);
    const ours = this.#acts.session?.id ?? null;
    const toTell: string[] = [];
    for (const [item, outcome, reason, next] of left) {
      const { key, isShared } = items[item - 1] as PendingRelease; // it is the number of one of them
      const isNextOurs =
        next !== null && next === ours ? true : isShared ? plain.isNextOurs : next === null ? undefined : false;
      special[item - 1] = { outcome, reason, ...(isNextOurs !== undefined && { isNextOurs }) };
      if (next !== null && next !== ours && !told.includes(key)) {
        toTell.push(key);
      }
    }
    this.#acts.notifyNext(toTell);
    items.forEach((item, index) => {
      item.onAnswer(special[index] ?? plain);
    });
  }

  async #sendAbandons(abandons: readonly Abandon[]): Promise<void> {
    const requests = abandons.map(({ request }) => request);
    const { rows } = await this.#acts.ask(this.#acts.connections.commands, ABANDON, [
      textArray(requests, ({ key }) => key),
      plainArray(requests, ({ token }) => token),
      plainArray(requests, ({ wasHeld }) => wasHeld),
      plainArray(requests, ({ isDoubted }) => isDoubted),
    ]);
    const isOurs = (session: unknown): boolean => session === (this.#acts.session?.id ?? null);
    const waitedFor = rows.filter(({ next }) => next !== null && !isOurs(next));
    this.#acts.notifyNext(waitedFor.map(({ item }) => (requests[Number(item) - 1] as AbandonRequest).key));
    const answers = inOrder<ReleaseAnswer>(requests.length, rows, ({ outcome, reason }) => ({
      outcome: outcome as ReleaseAnswer["outcome"],
      reason: reason as LossReason | null,
    }));
    abandons.forEach((abandon, index) => {
      abandon.onAnswer(answers[index] as ReleaseAnswer); // every item has an answer
    });
  }
}
