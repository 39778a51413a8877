import { hostname } from "node:os";
import type { Capabilities } from "../api/capabilities.js";
import type { MigrateOptions } from "../api/migrate-options.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import { type LeaseholdError, NotMigratedError, NotPermittedError, UnavailableError } from "../errors/errors.js";
import { followTransactions } from "../guard/enclosing.js";
import { exhaustedBy } from "../guard/exhausted.js";
import { after, type Clock, type Instant, msUntil, now, systemClock } from "../runtime/clock.js";
import { RequestTimeout, withTimeout } from "../runtime/timeout.js";
import { VERSION } from "../runtime/version.js";
import type { Backend, BackendEvents, Presence, Right } from "../store/backend.js";
import type { ConnectionStates, ServerState } from "../store/backend-state.js";
import type {
  AbandonRequest,
  AcquireAllAnswer,
  AcquireAllRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptRequest,
  CountersRow,
  DetachRequest,
  FirstAttempt,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  Holder,
  KeepEntriesRequest,
  KeyState,
  PendingRelease,
  PendingRenewal,
  QueueEntry,
  ReleaseAnswer,
  RenewAnswer,
  SweepBatch,
} from "../store/messages.js";
import { ServerClock } from "../store/server-clock.js";
import { AcquireAct } from "./acts/acquire.js";
import { acquireAll } from "./acts/acquire-all.js";
import { Acts } from "./acts/acts.js";
import { check, holderOf } from "./acts/check.js";
import { checkFence } from "./acts/check-fence.js";
import { findDeadlock } from "./acts/deadlock.js";
import { flushCounters } from "./acts/flush-counters.js";
import { forceRelease, notAdministrator } from "./acts/force-release.js";
import { adopt, detach } from "./acts/hand-over.js";
import { keepEntries } from "./acts/keep-entries.js";
import { Notifier } from "./acts/notify.js";
import { findObstacle } from "./acts/obstacle.js";
import { ping } from "./acts/ping.js";
import { ReleaseAct } from "./acts/release.js";
import { RenewAct } from "./acts/renew.js";
import { sweepBatch } from "./acts/sweep.js";
import { toCapabilities } from "./capabilities.js";
import { StandbyOnly } from "./connection/connect.js";
import { Connections } from "./connection/connections.js";
import { failedAt, noteFailedAt } from "./connection/failed-at.js";
import { NotSent } from "./connection/lane.js";
import { checkSchema, SCHEMA_INFO } from "./connection/schema-check.js";
import { toPublicError } from "./connection/server-errors.js";
import { ofOthers, unansweredText } from "./connection/unavailable.js";
import { migrateDatabase } from "./schema/migrate.js";
import { describeServer } from "./schema/server-state.js";
import { Inspection } from "./session/inspection.js";
import type { ActiveSession } from "./session/presence.js";
import { Session } from "./session/session.js";
import { SessionCheck } from "./session/session-check.js";

/** How long a wait that has timed out waits besides to learn of a deadlock. */
const DEADLOCK_MS = 250;
/** How long a call that had no answer waits besides to learn why. */
const OBSTACLE_MS = 250;

/** The backend on Postgres: a session that shows that this process lives, and requests in batches beside it. */
export class PostgresBackend implements Backend {
  readonly clock: Clock = systemClock;
  readonly presence: Presence;
  /** The acts' own: each is called with every lock. */
  readonly attempt: (attempt: FirstAttempt) => void;
  readonly release: (release: PendingRelease) => void;
  readonly renew: (renewal: PendingRenewal) => void;
  readonly excludes = true;
  readonly refuseHere: (() => UnavailableError | null) | null;
  /** Set by #updateReady alone. */
  isReady = false;
  readonly #options: ResolvedLockerOptions;
  readonly #events: BackendEvents;
  readonly #clock = new ServerClock();
  readonly #connections: Connections;
  readonly #session: Session | null;
  readonly #sessionCheck: SessionCheck;
  readonly #acts: Acts;
  readonly #acquires: AcquireAct;
  readonly #releases: ReleaseAct;
  #isChecked = false;
  #checking: Promise<void> | null = null;

  constructor(options: ResolvedLockerOptions, events: BackendEvents) {
    const { client } = options;
    this.#options = options;
    this.#events = events;
    this.refuseHere = client === null ? null : () => exhaustedBy(client);
    if (client !== null) {
      followTransactions(client);
    }
    this.#connections = new Connections(options, {
      onClock: ({ serverMs, receivedAt }) => this.#clock.learn(serverMs, receivedAt.monotonicMs),
      onNotice: (notice) => events.onNotice(notice),
    });
    const session = options.presence === "on" ? this.#makeSession() : null;
    this.#session = session;
    this.presence = session?.presence ?? { incarnation: 0, isBelieved: true, sessionId: null };
    this.#sessionCheck = new SessionCheck(session, this.#connections.commands, (error) => events.onError(error));
    this.#acts = new Acts({
      connections: this.#connections,
      session,
      sessionCheck: this.#sessionCheck,
      clock: this.#clock,
      notifier: new Notifier(this.#connections.commands, (key) => events.onWake(key)),
      takeoverDelayMs: options.takeoverDelayMs,
      toPublicError: (error) => this.#failed(error),
    });
    this.#acquires = new AcquireAct(this.#acts);
    this.#releases = new ReleaseAct(this.#acts);
    this.attempt = this.#acquires.attempt;
    this.release = this.#releases.release;
    this.renew = new RenewAct(this.#acts).renew;
  }

  async migrate(options: MigrateOptions): Promise<void> {
    await migrateDatabase(async () => (await this.#connections.forMigration()).link, options, {
      begin: "begin isolation level read committed, read write",
      onWait: (inTheWay) =>
        this.#events.onWait(
          new UnavailableError({
            outcome: "not-sent",
            message: `migrate() waits: ${inTheWay}. It goes on once that ends.`,
          }),
        ),
    });
  }

  async open(timeoutMs: number, right: Right = "usage"): Promise<void> {
    const deadline = after(now(), timeoutMs);
    const opening = this.#publicly(async () => {
      try {
        const active = await this.#session?.open(timeoutMs);
        if (!this.#isChecked) {
          // One for all who open it meanwhile: then they go on in the order in which they came.
          this.#checking ??= this.#check(active ?? null, deadline).finally(() => {
            this.#checking = null;
          });
          await withTimeout(this.#checking, Math.max(1, msUntil(deadline)));
        }
      } catch (error) {
        throw error instanceof NotSent ? error : new NotSent("not connected", { cause: error });
      }
    });
    await opening.catch((error: unknown) => {
      const isLacking = right === "admin" && error instanceof NotPermittedError;
      throw isLacking ? notAdministrator(error.role ?? this.#connections.role, error.cause) : error;
    });
  }

  get wasReady(): boolean {
    return this.#isChecked;
  }

  async findDeadlock(key: string): Promise<readonly string[] | null> {
    const active = this.#session?.active ?? null;
    if (active === null) {
      return null; // only sessions are known to be both waiter and holder
    }
    const asking = findDeadlock(this.#connections.renewals, active, key);
    return await withTimeout(asking, DEADLOCK_MS).catch(() => null);
  }

  /** Never rejects. */
  async explain(error: UnavailableError): Promise<UnavailableError> {
    const { outcome, cause } = error;
    const address = error.address ?? failedAt(error) ?? this.#connections.place;
    const { renewals } = this.#connections;
    const isFree = renewals.state.state === "open" && renewals.state.inFlight === 0;
    const inTheWay = isFree ? await withTimeout(findObstacle(renewals), OBSTACLE_MS).catch(() => null) : null;
    const reason = inTheWay === null ? error.message : `${error.message} ${inTheWay}.`;
    const message = cause instanceof RequestTimeout ? unansweredText(address, inTheWay) : reason;
    return this.#failed(new UnavailableError({ outcome, address, message, cause })) as UnavailableError;
  }

  serverTimeAt(instant: Instant): number | null {
    return this.#clock.at(instant);
  }

  acquire(request: AcquireRequest): Promise<AcquireAnswer> {
    return this.#acquires.look(request);
  }

  acquireAll(request: AcquireAllRequest): Promise<AcquireAllAnswer> {
    return this.#publicly(() => acquireAll(this.#acts, request));
  }

  keepEntries(request: KeepEntriesRequest): Promise<readonly QueueEntry[] | null> {
    return this.#publicly(() => keepEntries(this.#acts, request));
  }

  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return this.#releases.abandon(request);
  }

  detach(request: DetachRequest): Promise<RenewAnswer> {
    return this.#publicly(() => detach(this.#acts, request));
  }

  adopt(request: AdoptRequest): Promise<AdoptAnswer> {
    return this.#publicly(() => adopt(this.#acts, request));
  }

  check(key: string): Promise<KeyState> {
    return this.#publicly(() => check(this.#acts, key));
  }

  forceRelease(request: ForceReleaseRequest): Promise<ForceReleaseAnswer> {
    return this.#publicly(() => forceRelease(this.#acts, request));
  }

  ping(): Promise<{ ms: number; serverVersion: string }> {
    return this.#publicly(() => ping(this.#connections.commands));
  }

  get connections(): ConnectionStates {
    const { commands, renewals, mayBePooled, namesStatements } = this.#connections;
    const session = this.#session?.state ?? null;
    return { session, commands: commands.state, renewals: renewals.state, mayBePooled, namesStatements };
  }

  describeServer(): Promise<ServerState> {
    return this.#publicly(async () => {
      try {
        return await describeServer(this.#connections.commands);
      } catch (error) {
        if (error instanceof NotSent && error.cause instanceof NotMigratedError) {
          return await this.#connections.inspect(describeServer);
        }
        throw error;
      }
    });
  }

  async capabilities(): Promise<Capabilities> {
    const server = await this.describeServer();
    if (server.schema instanceof Error) {
      throw server.schema;
    }
    return toCapabilities(this.#options, this.connections, server, server.schema);
  }

  refusalOfShare(): null {
    return null;
  }

  refuseGuard(): void {
    // Any transaction in the same database can be guarded.
  }

  get databaseId(): string | null {
    return this.#sessionCheck.databaseId;
  }

  findDatabaseId(): Promise<void> {
    return this.#publicly(() => this.#sessionCheck.findDatabaseId());
  }

  flushCounters(row: CountersRow): Promise<void> {
    return this.#publicly(() => flushCounters(this.#connections.commands, row));
  }

  checkFence(resource: string, fence: bigint): Promise<"passed" | "stale" | "unknown"> {
    return this.#publicly(() => checkFence(this.#connections.commands, resource, fence));
  }

  holderOf(key: string): Promise<Holder | null> {
    return this.#publicly(() => holderOf(this.#connections.renewals, key));
  }

  /** On the connection for renewals, so that a slow sweep never delays a command. */
  sweep(quietMs: number): Promise<SweepBatch> {
    return this.#publicly(() => sweepBatch(this.#connections.renewals, quietMs));
  }

  async close(timeoutMs: number): Promise<void> {
    this.#connections.refuse();
    this.#updateReady();
    await this.#end(timeoutMs);
  }

  rest(): Promise<void> {
    return this.#end(this.#options.requestTimeoutMs);
  }

  async #end(timeoutMs: number): Promise<void> {
    await Promise.all([this.#session?.close(timeoutMs), this.#connections.rest()]);
  }

  #makeSession(): Session {
    const { owner, takeoverDelayMs, requestTimeoutMs } = this.#options;
    const connections = this.#connections;
    return new Session(
      {
        connect: (onNotify, signal) => connections.directly("session", { onNotify, signal }),
        inspection: () => new Inspection(connections, this.#sessionCheck, requestTimeoutMs),
        identity: { owner, host: hostname(), version: VERSION },
        takeoverDelayMs,
        requestTimeoutMs,
      },
      {
        onWake: () => this.#events.onWake(null),
        onActive: () => this.#updateReady(),
        onConnected: () => {
          this.#sessionCheck.reset();
          this.#events.onReconnected();
        },
        onClock: ({ serverMs, receivedAt }) => this.#clock.learn(serverMs, receivedAt.monotonicMs),
        // What it was doing was not for a caller, and nothing of it is in doubt.
        onError: (error) => this.#events.onError(this.#publicError(new NotSent("no session", { cause: error }))),
      },
    );
  }

  async #check(active: ActiveSession | null, deadline: Instant): Promise<void> {
    await this.#connections.refuseForeign();
    const seen = this.#sessionCheck.check(active, deadline);
    if (this.#session === null) {
      seen.catch(() => undefined); // the schema comes first
      checkSchema((await this.#connections.commands.read(SCHEMA_INFO, [])).rows);
    }
    await seen;
    this.#isChecked = true;
    this.#updateReady();
  }

  #updateReady(): void {
    const isActive = this.#session === null || this.#session.active !== null;
    this.isReady = this.#isChecked && isActive && !this.#connections.isClosed;
  }

  async #publicly<T>(work: () => Promise<T>): Promise<T> {
    this.#connections.refuseIfClosed();
    try {
      return await work();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The error that a user sees, once it was noted. */
  #failed(error: unknown): LeaseholdError {
    const failure = this.#publicError(error);
    this.#events.onFailure(failure);
    return failure;
  }

  #publicError(error: unknown): LeaseholdError {
    const { role } = this.#connections;
    const wasSent = !(error instanceof NotSent);
    const cause = wasSent ? error : error.cause;
    noteFailedAt(cause, this.#connections.place);
    if (cause instanceof StandbyOnly && this.#isChecked) {
      const message = `Only a standby answers, and nothing was sent. Asking again helps once a primary does.${ofOthers(cause)}`;
      return new UnavailableError({ outcome: "not-sent", message, cause });
    }
    return toPublicError(cause, { wasSent, role });
  }
}
