import { after, type Instant, isPast, now } from "../clock.js";
import { NotPermittedError, UnavailableError } from "../errors.js";
import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  KeyState,
  Place,
  ReleaseAnswer,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  StayRequest,
} from "../store.js";
import { toAcquireAnswer, toForceReleaseAnswer, toKeyState, toReleaseAnswer, toRenewAnswer } from "./answers.js";
import { plainArray, textArray } from "./array-literal.js";
import { Batcher } from "./batch.js";
import type { Connections } from "./connections.js";
import type { Answer, Lane } from "./lane.js";
import type { Parameter, Row } from "./link.js";
import { Notifier } from "./notifier.js";
import { quoteLiteral } from "./quote.js";
import type { ServerClock } from "./server-clock.js";
import { sqlState, troubleOf } from "./server-errors.js";
import type { Session, Standing } from "./session.js";
import type { Sight } from "./sight.js";
import * as sql from "./statements.js";

/** Items in one statement: enough to amortize the commit, few enough that a statement stays short. */
const MAX_BATCH = 1_000;
/** A renewal whose row was locked waits this long for its turn at waiting for it; then a batch is tried again. */
const BUSY_TURN_MS = 500;

export interface RequestsInit {
  readonly connections: Connections;
  readonly session: Session | null;
  readonly sight: Sight;
  readonly clock: ServerClock;
  readonly takeoverDelayMs: number;
}

interface BusyRenewal extends RenewRequest {
  readonly giveUpAt: Instant;
}

/** Turns requests into statements, many of one kind into one, and rows into answers. */
export class Requests {
  readonly #connections: Connections;
  readonly #session: Session | null;
  readonly #sight: Sight;
  readonly #clock: ServerClock;
  readonly #takeoverDelayMs: number;
  readonly #notifier: Notifier;
  readonly #acquires = new Batcher<AcquireRequest, AcquireAnswer>((items) => this.#sendAcquires(items), MAX_BATCH);
  readonly #carefulAcquires = new Batcher<AcquireRequest, AcquireAnswer>(
    (items) => this.#sendCarefulAcquires(items),
    MAX_BATCH,
  );
  readonly #releases = new Batcher<ReleaseRequest, ReleaseAnswer>((items) => this.#sendReleases(items), MAX_BATCH);
  readonly #abandons = new Batcher<AbandonRequest, ReleaseAnswer>((items) => this.#sendAbandons(items), MAX_BATCH);
  readonly #renews = new Batcher<RenewRequest, RenewAnswer>((items) => this.#sendRenewals(items), MAX_BATCH);
  /** One at a time, for each may wait for its row: batches of others pass in between. */
  readonly #busyRenews = new Batcher<BusyRenewal, RenewAnswer>((items) => this.#sendBusyRenewals(items), 1);
  /** Missing keys whose insert would wait for a stranger's transaction: they go one by one. */
  readonly #stuckKeys = new Set<string>();

  constructor({ connections, session, sight, clock, takeoverDelayMs }: RequestsInit) {
    this.#connections = connections;
    this.#session = session;
    this.#sight = sight;
    this.#clock = clock;
    this.#takeoverDelayMs = takeoverDelayMs;
    this.#notifier = new Notifier(connections.commands);
  }

  async acquire(request: AcquireRequest): Promise<AcquireAnswer> {
    const { key } = request;
    let isStuck = false;
    try {
      const answer = await (this.#stuckKeys.has(key) ? this.#carefulAcquires : this.#acquires).add(request);
      isStuck = answer.outcome === "busy" && answer.holder === null;
      return answer;
    } finally {
      if (!isStuck) {
        this.#stuckKeys.delete(key);
      }
    }
  }

  /** In parts, one behind the other: none waits for what else is asked meanwhile. */
  async stay({ places, notAfterMs }: StayRequest): Promise<readonly Place[] | null> {
    const parts = Array.from({ length: Math.ceil(places.length / MAX_BATCH) }, (_, n) =>
      this.#stayPart(places.slice(n * MAX_BATCH, (n + 1) * MAX_BATCH), notAfterMs),
    );
    const gone = await Promise.all(parts);
    return gone.some((part) => part === null) ? null : gone.flatMap((part) => part ?? []);
  }

  async #stayPart(places: readonly Place[], notAfterMs: number): Promise<readonly Place[] | null> {
    const parameters = [
      notAfterMs,
      textArray(places.map(({ key }) => key)),
      plainArray(places.map(({ token }) => token)),
    ];
    const proven = await this.#provenly(this.#connections.commands, sql.STAY, parameters, { withDelay: false });
    const rows = proven?.answer.rows ?? null;
    return rows === null || rows.some(({ item }) => item === 0)
      ? null
      : rows.map(({ item }) => places[Number(item) - 1] as Place); // it names some of those that it was asked for
  }

  release(request: ReleaseRequest): Promise<ReleaseAnswer> {
    return this.#releases.add(request);
  }

  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return this.#abandons.add(request);
  }

  async renew(request: RenewRequest): Promise<RenewAnswer> {
    const answer = await this.#renews.add(request);
    return answer.outcome === "busy"
      ? await this.#busyRenews.add({ ...request, giveUpAt: after(now(), BUSY_TURN_MS) })
      : answer;
  }

  async check(key: string): Promise<KeyState> {
    const answer = await this.#connections.commands.read(sql.INSPECT, [key]);
    this.#learn(answer);
    return toKeyState(answer);
  }

  async forceRelease({ key, fence, isImmediate }: ForceReleaseRequest): Promise<ForceReleaseAnswer> {
    const parameters = [key, fence === null ? null : String(fence), isImmediate];
    const answer = await this.#command(sql.FORCE_RELEASE, parameters).catch((error: unknown) => {
      throw sqlState(error) === "42501" ? notAdministrator(this.#connections.role, error) : error;
    });
    this.#wake(answer.rows);
    return toForceReleaseAnswer(answer);
  }

  async ping(): Promise<{ ms: number; serverVersion: string }> {
    const { rows, sentAt, receivedAt } = await this.#connections.commands.read(sql.PING, []);
    return { ms: receivedAt.monotonicMs - sentAt.monotonicMs, serverVersion: String(rows[0]?.version) };
  }

  async #sendAcquires(items: readonly AcquireRequest[]): Promise<readonly AcquireAnswer[]> {
    try {
      return await this.#askAcquires(items, false);
    } catch (error) {
      if (troubleOf(error) !== "blocked") {
        throw error;
      }
      for (const { key } of items) {
        this.#stuckKeys.add(key);
      }
      return await this.#askAcquires(items, true);
    }
  }

  #sendCarefulAcquires(items: readonly AcquireRequest[]): Promise<readonly AcquireAnswer[]> {
    return this.#askAcquires(items, true);
  }

  async #askAcquires(items: readonly AcquireRequest[], isCareful: boolean): Promise<readonly AcquireAnswer[]> {
    const proven = await this.#provenly(this.#connections.commands, sql.ACQUIRE, [
      String(isCareful),
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      textArray(items.map((item) => item.owner)),
      plainArray(items.map((item) => item.ttlMs)),
      plainArray(items.map((item) => item.minHoldMs)),
      plainArray(items.map((item) => item.maxHoldMs)),
      textArray(items.map((item) => item.metadata)),
      plainArray(items.map((item) => item.notAfterMs)),
      plainArray(items.map((item) => item.waits)),
      plainArray(items.map((item) => item.ticket?.place ?? null)),
      plainArray(items.map((item) => item.ticket?.proof ?? null)),
      this.#formerIds(),
    ]);
    return proven === null
      ? items.map(() => ({ outcome: "unproven" }))
      : await this.#judged(items, proven, (row) => toAcquireAnswer(row, proven.answer, proven.incarnation));
  }

  async #sendReleases(items: readonly ReleaseRequest[]): Promise<readonly ReleaseAnswer[]> {
    const answer = await this.#command(sql.RELEASE, [
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      plainArray(items.map((item) => item.fence)),
    ]);
    this.#wake(answer.rows);
    return inOrder(items.length, answer, toReleaseAnswer);
  }

  async #sendAbandons(items: readonly AbandonRequest[]): Promise<readonly ReleaseAnswer[]> {
    const answer = await this.#command(sql.ABANDON, [
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      plainArray(items.map((item) => item.wasHeld)),
      plainArray(items.map((item) => item.isDoubted)),
    ]);
    this.#wake(answer.rows);
    return inOrder(items.length, answer, toReleaseAnswer);
  }

  async #sendRenewals(items: readonly RenewRequest[]): Promise<readonly RenewAnswer[]> {
    const proven = await this.#provenly(this.#connections.renewals, sql.RENEW, [
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      plainArray(items.map((item) => item.fence)),
      plainArray(items.map((item) => item.ttlMs)),
      this.#formerIds(),
    ]);
    return proven === null
      ? items.map(() => ({ outcome: "unproven" }))
      : await this.#judged(items, proven, (row) => toRenewAnswer(row, proven.answer, proven.incarnation));
  }

  /** Waits for the row, alone: under SKIP LOCKED a lease that is often locked would never be renewed. */
  async #sendBusyRenewals([item]: readonly BusyRenewal[]): Promise<readonly RenewAnswer[]> {
    if (item === undefined || isPast(item.giveUpAt)) {
      return [{ outcome: "busy" }];
    }
    const { key, token, fence, ttlMs } = item;
    try {
      const proven = await this.#provenly(this.#connections.renewals, sql.RENEW_BUSY, [
        key,
        token,
        String(fence),
        ttlMs,
        this.#formerIds(),
      ]);
      return proven === null
        ? [{ outcome: "unproven" }]
        : await this.#judged([item], proven, (row) => toRenewAnswer(row, proven.answer, proven.incarnation));
    } catch (error) {
      if (troubleOf(error) === "blocked") {
        return [{ outcome: "busy" }];
      }
      throw error;
    }
  }

  /** What was held under them goes on under the session's number of now. */
  #formerIds(): string {
    return plainArray(this.#session?.formerIds ?? []);
  }

  #command(text: string, parameters: readonly Parameter[]): Promise<Answer> {
    return this.#ask(this.#connections.commands, text, parameters);
  }

  /**
   * Asks in the name of the session, which the server checks. Null when none stands.
   * @throws UnavailableError when a commit meanwhile is not known to have reached its synchronous standby
   */
  async #provenly(
    lane: Lane,
    text: string,
    parameters: readonly Parameter[],
    { withDelay = true }: { withDelay?: boolean } = {},
  ): Promise<Proven | null> {
    const standing = this.#session?.standing ?? null;
    if (this.#session !== null && standing === null) {
      return null;
    }
    const { unconfirmedCommits } = this.#connections;
    const takeoverDelayMs = standing === null ? null : this.#takeoverDelayMs;
    const answer = await this.#ask(lane, text, [
      standing?.id ?? null,
      standing?.nonce ?? null,
      ...(withDelay ? [takeoverDelayMs] : []),
      ...parameters,
    ]);
    if (this.#connections.unconfirmedCommits !== unconfirmedCommits) {
      throw new UnavailableError({
        outcome: "unknown",
        message:
          "The wait for a synchronous standby was cancelled: nothing that this statement granted or renewed is sure.",
      });
    }
    return { answer, standing, incarnation: standing?.incarnation ?? 0 };
  }

  async #judged<Result extends { readonly outcome: string }>(
    items: readonly unknown[],
    { answer, standing }: Proven,
    read: (row: Row) => Result,
  ): Promise<readonly Result[]> {
    const results = inOrder(items.length, answer, read);
    await this.#sight.judge(standing, results[0]?.outcome !== "unproven");
    return results;
  }

  async #ask(lane: Lane, text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const answer = await lane.query(text, parameters);
    this.#learn(answer);
    return answer;
  }

  #learn({ rows, sentAt, receivedAt }: Answer): void {
    const serverMs = Number(rows[0]?.now);
    if (serverMs > 0) {
      this.#clock.learn({ sentAt, receivedAt, serverMs });
    }
  }

  #wake(rows: readonly Row[]): void {
    for (const { wake } of rows) {
      if (typeof wake === "number" && wake !== this.#session?.id) {
        this.#notifier.add(wake);
      }
    }
  }
}

interface Proven {
  readonly answer: Answer;
  readonly standing: Standing | null;
  readonly incarnation: number;
}

/** `grant_usage`, which every other call needs, does not include this. */
function notAdministrator(role: string, cause: unknown): NotPermittedError {
  const statement = `select leasehold.grant_admin(${quoteLiteral(role)});`;
  return new NotPermittedError({ statement, role, cause });
}

/** Answers name their item by its place, counted from 1, and come in any order. */
function inOrder<Result>(count: number, answer: Answer, read: (row: Row) => Result): readonly Result[] {
  const results = new Array<Result>(count);
  for (const row of answer.rows) {
    results[Number(row.item) - 1] = read(row);
  }
  return results;
}
