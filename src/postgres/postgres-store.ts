import { hostname } from "node:os";
import { after, type Instant, isPast, msUntil, now } from "../clock.js";
import { ClosedError, type LeaseholdError, UnavailableError, UnsafeBackendError } from "../errors.js";
import type { ResolvedLockerOptions } from "../resolve-options.js";
import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  KeyState,
  MigrateOptions,
  Presence,
  ReleaseAnswer,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  Store,
  StoreEvents,
} from "../store.js";
import { withTimeout } from "../timeout.js";
import { VERSION } from "../version.js";
import { toAcquireAnswer, toKeyState, toReleaseAnswer, toRenewAnswer } from "./answers.js";
import { plainArray, textArray } from "./array-literal.js";
import { Batcher } from "./batch.js";
import { type ConnectOptions, connect, type Hello, HostList, ownSettings } from "./connect.js";
import type { ConnectionTarget } from "./connection-url.js";
import { type Answer, GivenLane, type Lane, NotSent, OwnLane } from "./lane.js";
import type { Link, Parameter, Row } from "./link.js";
import { migrateDatabase } from "./migrate.js";
import { refusePooler } from "./pooler-test.js";
import { checkSchema } from "./schema-check.js";
import { ServerClock } from "./server-clock.js";
import { toPublicError, troubleOf } from "./server-errors.js";
import { Session, type Standing } from "./session.js";
import * as sql from "./statements.js";
import { targetOfClient } from "./target-of-client.js";

/** Items in one statement: enough to amortize the commit, few enough that a statement stays short. */
const MAX_BATCH = 1_000;
/** How often the commands connection may not see a session that answers its heartbeat before that is an error. */
const MAX_UNSEEN = 3;

/** A renewal whose row was locked waits this long for its turn at waiting for it; then a batch is tried again. */
const BUSY_TURN_MS = 500;

interface BusyRenewal extends RenewRequest {
  readonly giveUpAt: Instant;
}

/** The store on Postgres: three connections at most, for the session, for commands and for renewals. */
export class PostgresStore implements Store {
  readonly #options: ResolvedLockerOptions;
  readonly #events: StoreEvents;
  readonly #clock = new ServerClock();
  readonly #directHosts: HostList;
  readonly #session: Session | null;
  readonly #commands: Lane;
  readonly #renewals: Lane;
  readonly #acquires: Batcher<AcquireRequest, AcquireAnswer>;
  readonly #carefulAcquires: Batcher<AcquireRequest, AcquireAnswer>;
  readonly #releases: Batcher<ReleaseRequest, ReleaseAnswer>;
  readonly #abandons: Batcher<AbandonRequest, ReleaseAnswer>;
  readonly #renews: Batcher<RenewRequest, RenewAnswer>;
  /** One at a time, for each may wait for its row: batches of others pass in between. */
  readonly #busyRenews: Batcher<BusyRenewal, RenewAnswer>;
  /** Missing keys whose insert would wait for a stranger's transaction: they go one by one. */
  readonly #stuckKeys = new Set<string>();
  readonly #toNotify = new Set<number>();
  #isNotifying = false;
  #isChecked = false;
  #isClosed = false;
  #unseen = 0;
  #unconfirmedCommits = 0;
  #role = "";
  readonly presence: Presence;

  constructor(options: ResolvedLockerOptions, events: StoreEvents) {
    this.#options = options;
    this.#events = events;
    const directTarget = options.directTarget ?? (options.sql === null ? null : targetOfClient(options.sql));
    const target = options.target ?? directTarget;
    if (directTarget === null || target === null) {
      throw new TypeError("the options name no address"); // resolveLockerOptions has refused that
    }
    const directHosts = new HostList(directTarget);
    this.#directHosts = directHosts;
    const hosts = target === directTarget ? directHosts : new HostList(target);
    const mayBePooled = options.presence === "off" || hosts !== directHosts || target.isPooledHint;
    const ours = { prepare: true, settings: ownSettings, signal: null };
    const pooled = { prepare: false, settings: [], signal: null };
    const { requestTimeoutMs } = options;
    const onClock = this.#clock.learn.bind(this.#clock);
    const own = (lane: string): OwnLane =>
      new OwnLane(
        (signal) => this.#connect(hosts, lane, { ...(mayBePooled ? pooled : ours), signal }),
        requestTimeoutMs,
        onClock,
      );
    this.#commands = options.sql === null ? own("commands") : new GivenLane(options.sql, requestTimeoutMs);
    this.#renewals = own("renewals");
    this.#session =
      options.presence === "off"
        ? null
        : new Session(
            {
              connect: (onNotify, signal) => this.#connect(directHosts, "session", { ...ours, onNotify, signal }),
              owner: options.owner,
              host: hostname(),
              version: VERSION,
              takeoverDelayMs: options.takeoverDelayMs,
              requestTimeoutMs,
              inspect: async (link, hello, session, signal) => {
                checkSchema(await link.query(sql.SCHEMA_INFO));
                const connect = (): Promise<{ link: Link }> => this.#connect(directHosts, "test", { ...ours, signal });
                await refusePooler({ link, hello, session, connect, signal });
              },
            },
            {
              onWake: () => events.onWake(),
              onConnected: () => {
                this.#unseen = 0;
                events.onReconnected();
              },
              onClock,
              onError: (error) => events.onError(this.#publicError(error)),
            },
          );
    const session = this.#session;
    this.presence = {
      get incarnation() {
        return session?.incarnation ?? 0;
      },
      get isBelieved() {
        return session?.isBelieved ?? true;
      },
      get sessionId() {
        return session?.id ?? null;
      },
    };
    this.#acquires = new Batcher((items) => this.#sendAcquires(items, false), MAX_BATCH);
    this.#carefulAcquires = new Batcher((items) => this.#sendAcquires(items, true), MAX_BATCH);
    this.#releases = new Batcher((items) => this.#sendReleases(items), MAX_BATCH);
    this.#abandons = new Batcher((items) => this.#sendAbandons(items), MAX_BATCH);
    this.#renews = new Batcher((items) => this.#sendRenewals(items), MAX_BATCH);
    this.#busyRenews = new Batcher((items) => Promise.all(items.map((item) => this.#renewBusy(item))), 1);
  }

  async migrate(options: MigrateOptions): Promise<void> {
    const settings = { prepare: false, settings: ownSettings, signal: null };
    await migrateDatabase(async () => (await this.#connect(this.#directHosts, "migrate", settings)).link, options);
  }

  async open(timeoutMs: number): Promise<void> {
    const deadline = after(now(), timeoutMs);
    await this.#publicly(async () => {
      try {
        const standing = await this.#session?.open(timeoutMs);
        if (!this.#isChecked) {
          await withTimeout(this.#check(standing ?? null, deadline), Math.max(1, msUntil(deadline)));
        }
      } catch (error) {
        throw error instanceof NotSent ? error : new NotSent("not connected", { cause: error });
      }
    });
  }

  serverTimeAt(instant: Instant): number | null {
    return this.#clock.at(instant);
  }

  acquire(request: AcquireRequest): Promise<AcquireAnswer> {
    return this.#publicly(async () => {
      const { key } = request;
      const answer = await (this.#stuckKeys.has(key) ? this.#carefulAcquires : this.#acquires).add(request);
      if (answer.outcome !== "busy" || answer.holder !== null) {
        this.#stuckKeys.delete(key);
      }
      return answer;
    });
  }

  release(request: ReleaseRequest): Promise<ReleaseAnswer> {
    return this.#publicly(() => this.#releases.add(request));
  }

  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return this.#publicly(() => this.#abandons.add(request));
  }

  renew(request: RenewRequest): Promise<RenewAnswer> {
    return this.#publicly(async () => {
      const answer = await this.#renews.add(request);
      return answer.outcome === "busy"
        ? await this.#busyRenews.add({ ...request, giveUpAt: after(now(), BUSY_TURN_MS) })
        : answer;
    });
  }

  check(key: string): Promise<KeyState> {
    return this.#publicly(async () => toKeyState(await this.#ask(this.#commands, sql.INSPECT, [key])));
  }

  forceRelease({ key, fence, isImmediate }: ForceReleaseRequest): Promise<ForceReleaseAnswer> {
    return this.#publicly(async () => {
      const [row] = (
        await this.#ask(this.#commands, sql.FORCE_RELEASE, [key, fence === null ? null : String(fence), isImmediate])
      ).rows;
      this.#wake([row?.wake]);
      return {
        outcome: row?.outcome as ForceReleaseAnswer["outcome"],
        fence: row?.fence == null ? null : BigInt(String(row.fence)),
        owner: (row?.owner ?? null) as string | null,
        expiresAtMs: (row?.expires ?? null) as number | null,
        blockingPid: (row?.blocker ?? null) as number | null,
      };
    });
  }

  ping(): Promise<{ ms: number; serverVersion: string }> {
    return this.#publicly(async () => {
      const { rows, sentAt, receivedAt } = await this.#commands.query(sql.PING, []);
      return { ms: receivedAt.monotonicMs - sentAt.monotonicMs, serverVersion: String(rows[0]?.version) };
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.rest();
  }

  async rest(): Promise<void> {
    await Promise.all([this.#session?.close(), this.#commands.end(), this.#renewals.end()]);
  }

  async #sendAcquires(items: readonly AcquireRequest[], isCareful: boolean): Promise<readonly AcquireAnswer[]> {
    const standing = this.#session?.standing ?? null;
    if (this.#session !== null && standing === null) {
      return items.map(() => ({ outcome: "unproven" }));
    }
    const unconfirmed = this.#unconfirmedCommits;
    let answer: Answer;
    try {
      answer = await this.#ask(this.#commands, sql.ACQUIRE, [
        standing?.id ?? null,
        standing?.nonce ?? null,
        standing === null ? null : this.#options.takeoverDelayMs,
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
        plainArray(items.map((item) => item.ticket)),
      ]);
    } catch (error) {
      if (troubleOf(error) === "blocked" && !isCareful) {
        for (const { key } of items) {
          this.#stuckKeys.add(key);
        }
        return await this.#sendAcquires(items, true);
      }
      throw error;
    }
    this.#refuseUnconfirmed(unconfirmed);
    const results = inOrder(items.length, answer, (row) => toAcquireAnswer(row, answer, standing?.incarnation ?? 0));
    await this.#judgeSight(standing, results[0]?.outcome === "unproven");
    return results;
  }

  async #sendReleases(items: readonly ReleaseRequest[]): Promise<readonly ReleaseAnswer[]> {
    const answer = await this.#ask(this.#commands, sql.RELEASE, [
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      plainArray(items.map((item) => item.fence)),
    ]);
    this.#wake(answer.rows.map((row) => row.wake));
    return inOrder(items.length, answer, toReleaseAnswer);
  }

  async #sendAbandons(items: readonly AbandonRequest[]): Promise<readonly ReleaseAnswer[]> {
    const answer = await this.#ask(this.#commands, sql.ABANDON, [
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      plainArray(items.map((item) => item.wasHeld)),
      plainArray(items.map((item) => item.isDoubted)),
    ]);
    this.#wake(answer.rows.map((row) => row.wake));
    return inOrder(items.length, answer, toReleaseAnswer);
  }

  async #sendRenewals(items: readonly RenewRequest[]): Promise<readonly RenewAnswer[]> {
    const standing = this.#session?.standing ?? null;
    if (this.#session !== null && standing === null) {
      return items.map(() => ({ outcome: "unproven" }));
    }
    const unconfirmed = this.#unconfirmedCommits;
    const answer = await this.#ask(this.#renewals, sql.RENEW, [
      standing?.id ?? null,
      standing?.nonce ?? null,
      standing === null ? null : this.#options.takeoverDelayMs,
      textArray(items.map((item) => item.key)),
      plainArray(items.map((item) => item.token)),
      plainArray(items.map((item) => item.fence)),
      plainArray(items.map((item) => item.ttlMs)),
    ]);
    this.#refuseUnconfirmed(unconfirmed);
    const results = inOrder(items.length, answer, (row) => toRenewAnswer(row, answer, standing?.incarnation ?? 0));
    await this.#judgeSight(standing, results[0]?.outcome === "unproven");
    return results;
  }

  /** @throws UnavailableError when a commit since then is not known to have reached its synchronous standby */
  #refuseUnconfirmed(before: number): void {
    if (this.#unconfirmedCommits !== before) {
      throw new UnavailableError({
        outcome: "unknown",
        message:
          "The wait for a synchronous standby was cancelled: nothing that this statement granted or renewed is sure.",
      });
    }
  }

  /** Waits for the row, alone: under SKIP LOCKED a lease that is often locked would never be renewed. */
  async #renewBusy({ key, token, fence, ttlMs, giveUpAt }: BusyRenewal): Promise<RenewAnswer> {
    if (isPast(giveUpAt)) {
      return { outcome: "busy" };
    }
    const standing = this.#session?.standing ?? null;
    if (this.#session !== null && standing === null) {
      return { outcome: "unproven" };
    }
    const unconfirmed = this.#unconfirmedCommits;
    try {
      const answer = await this.#ask(this.#renewals, sql.RENEW_BUSY, [
        standing?.id ?? null,
        standing?.nonce ?? null,
        standing === null ? null : this.#options.takeoverDelayMs,
        key,
        token,
        String(fence),
        ttlMs,
      ]);
      this.#refuseUnconfirmed(unconfirmed);
      return toRenewAnswer(answer.rows[0] as Row, answer, standing?.incarnation ?? 0);
    } catch (error) {
      if (troubleOf(error) === "blocked") {
        return { outcome: "busy" };
      }
      throw error;
    }
  }

  async #ask(lane: Lane, text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const answer = await lane.query(text, parameters);
    const serverMs = Number(answer.rows[0]?.now);
    if (serverMs > 0) {
      this.#clock.learn({ sentAt: answer.sentAt, receivedAt: answer.receivedAt, serverMs });
    }
    return answer;
  }

  /** Tells other sessions that somebody of theirs is next. In the background: a hint, and polling is the truth. */
  #wake(sessions: readonly unknown[]): void {
    for (const session of sessions) {
      if (typeof session === "number" && session !== this.#session?.id) {
        this.#toNotify.add(session);
      }
    }
    if (this.#toNotify.size > 0 && !this.#isNotifying) {
      this.#isNotifying = true;
      void this.#notify();
    }
  }

  async #notify(): Promise<void> {
    while (this.#toNotify.size > 0) {
      const sessions = [...this.#toNotify];
      this.#toNotify.clear();
      await this.#commands.query(sql.NOTIFY, [plainArray(sessions)]).catch(() => undefined);
    }
    this.#isNotifying = false;
  }

  /** A session that answers its own heartbeat but is not seen by the commands: they are on another database or server. */
  async #judgeSight(standing: Standing | null, isUnseen: boolean): Promise<void> {
    if (!isUnseen || standing === null || this.#session?.standing !== standing) {
      this.#unseen = 0;
      return;
    }
    this.#unseen += (await this.#session.beatNow()) ? 1 : 0;
    if (this.#unseen >= MAX_UNSEEN) {
      throw new UnsafeBackendError({
        problem: "The connection for commands does not see the session: the two are on different databases or servers",
        remedy: "Let url and directUrl name the same database of the same server",
      });
    }
  }

  async #check(standing: Standing | null, deadline: Instant): Promise<void> {
    if (this.#session === null) {
      checkSchema((await this.#commands.query(sql.SCHEMA_INFO, [])).rows);
    }
    await this.#checkSight(standing, deadline);
    this.#isChecked = true;
  }

  async #checkSight(standing: Standing | null, deadline: Instant): Promise<void> {
    for (let session = standing; ; ) {
      const { rows } = await this.#commands.query(sql.SEES_SESSION, [session?.id ?? null, session?.nonce ?? null]);
      const isSeen = rows[0]?.seen === true;
      await this.#judgeSight(session, !isSeen);
      if (isSeen) {
        if (rows[0]?.source === "manual") {
          this.#events.onError(
            new UnsafeBackendError({
              problem: "This service hides what tells a failover: fences rise over it only when an operator helps",
              remedy: "After a failover or a restore, run: select leasehold.bump_epoch();",
            }),
          );
        }
        return;
      }
      session = (await this.#session?.open(Math.max(1, msUntil(deadline)))) ?? null;
    }
  }

  async #connect(
    hosts: HostList,
    purpose: string,
    how: Pick<ConnectOptions, "prepare" | "settings" | "signal"> & { readonly onNotify?: () => void },
  ): Promise<{ link: Link; hello: Hello }> {
    this.#refuseIfClosed();
    const made = await connect({
      ...how,
      hosts,
      applicationName: applicationName(hosts.target, purpose),
      connectTimeoutMs: this.#options.connectTimeoutMs,
      startup: {},
      onUnconfirmedCommit: () => {
        this.#unconfirmedCommits += 1;
      },
    });
    if (this.#isClosed) {
      made.link.destroy();
    }
    this.#refuseIfClosed();
    this.#role = made.hello.role;
    return made;
  }

  /** What was asked for before may still go on after a close: it must not connect again. */
  #refuseIfClosed(): void {
    if (this.#isClosed) {
      throw new ClosedError();
    }
  }

  async #publicly<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseIfClosed();
    try {
      return await work();
    } catch (error) {
      throw this.#publicError(error);
    }
  }

  #publicError(error: unknown): LeaseholdError {
    return error instanceof NotSent
      ? toPublicError(error.cause, { wasSent: false, role: this.#role })
      : toPublicError(error, { wasSent: true, role: this.#role });
  }
}

function applicationName(target: ConnectionTarget, purpose: string): string {
  return `leasehold ${purpose}${target.applicationName === null ? "" : ` ${target.applicationName}`}`.slice(0, 63);
}

/** Answers name their item by its place, counted from 1, and come in any order. */
function inOrder<Result>(count: number, answer: Answer, read: (row: Row) => Result): readonly Result[] {
  const results = new Array<Result>(count);
  for (const row of answer.rows) {
    results[Number(row.item) - 1] = read(row);
  }
  return results;
}
