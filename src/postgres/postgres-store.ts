import { hostname } from "node:os";
import { after, type Instant, msUntil, now } from "../clock.js";
import { type LeaseholdError, NotMigratedError, UnavailableError } from "../errors.js";
import type { ConnectionStates, ServerState } from "../inspect/store-state.js";
import type { ResolvedLockerOptions } from "../resolve-options.js";
import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  CountersRow,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  Holder,
  KeyState,
  MigrateOptions,
  Place,
  Presence,
  ReleaseAnswer,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  StayRequest,
  Store,
  StoreEvents,
  SweepBatch,
} from "../store.js";
import { withTimeout } from "../timeout.js";
import { VERSION } from "../version.js";
import { StandbyOnly } from "./connect.js";
import { Connections } from "./connections.js";
import { checkFence, holderOf } from "./fence-requests.js";
import { flushCounters } from "./flush-counters.js";
import { Inspection } from "./inspection.js";
import { NotSent } from "./lane.js";
import { migrateDatabase } from "./migrate.js";
import { Requests } from "./requests.js";
import { checkSchema } from "./schema-check.js";
import { ServerClock } from "./server-clock.js";
import { toPublicError } from "./server-errors.js";
import { describeServer } from "./server-state.js";
import { Session, type Standing } from "./session.js";
import { Sight } from "./sight.js";
import { SCHEMA_INFO } from "./statements.js";
import { sweepBatch } from "./sweep-request.js";

/** The store on Postgres: a session that shows that this process lives, and requests in batches beside it. */
export class PostgresStore implements Store {
  readonly presence: Presence;
  readonly #options: ResolvedLockerOptions;
  readonly #events: StoreEvents;
  readonly #clock = new ServerClock();
  readonly #connections: Connections;
  readonly #session: Session | null;
  readonly #sight: Sight;
  readonly #requests: Requests;
  #isChecked = false;

  constructor(options: ResolvedLockerOptions, events: StoreEvents) {
    this.#options = options;
    this.#events = events;
    this.#connections = new Connections(options, {
      onClock: (sample) => this.#clock.learn(sample),
      onNotice: (notice) => events.onNotice(notice),
    });
    const session = options.presence === "on" ? this.#makeSession() : null;
    this.#session = session;
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
    this.#sight = new Sight(session, this.#connections.commands, (error) => events.onError(error));
    this.#requests = new Requests({
      connections: this.#connections,
      session,
      sight: this.#sight,
      clock: this.#clock,
      takeoverDelayMs: options.takeoverDelayMs,
    });
  }

  async migrate(options: MigrateOptions): Promise<void> {
    const begin = "begin isolation level read committed, read write";
    await migrateDatabase(async () => (await this.#connections.forMigration()).link, options, begin);
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
    return this.#publicly(() => this.#requests.acquire(request));
  }

  stay(request: StayRequest): Promise<readonly Place[] | null> {
    return this.#publicly(() => this.#requests.stay(request));
  }

  release(request: ReleaseRequest): Promise<ReleaseAnswer> {
    return this.#publicly(() => this.#requests.release(request));
  }

  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return this.#publicly(() => this.#requests.abandon(request));
  }

  renew(request: RenewRequest): Promise<RenewAnswer> {
    return this.#publicly(() => this.#requests.renew(request));
  }

  check(key: string): Promise<KeyState> {
    return this.#publicly(() => this.#requests.check(key));
  }

  forceRelease(request: ForceReleaseRequest): Promise<ForceReleaseAnswer> {
    return this.#publicly(() => this.#requests.forceRelease(request));
  }

  ping(): Promise<{ ms: number; serverVersion: string }> {
    return this.#publicly(() => this.#requests.ping());
  }

  get connections(): ConnectionStates {
    const { commands, renewals, mayBePooled } = this.#connections;
    return { session: this.#session?.state ?? null, commands: commands.state, renewals: renewals.state, mayBePooled };
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

  get place(): string | null {
    return this.#sight.place;
  }

  findPlace(): Promise<void> {
    return this.#publicly(() => this.#sight.findPlace());
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

  /** Where only renewals can be behind it: commands wait for nothing. */
  sweep(quietMs: number): Promise<SweepBatch> {
    return this.#publicly(() => sweepBatch(this.#connections.renewals, quietMs));
  }

  async close(timeoutMs: number): Promise<void> {
    this.#connections.refuse();
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
        inspection: () => new Inspection(connections, this.#sight, requestTimeoutMs),
        identity: { owner, host: hostname(), version: VERSION },
        takeoverDelayMs,
        requestTimeoutMs,
      },
      {
        onWake: () => this.#events.onWake(),
        onConnected: () => {
          this.#sight.reset();
          this.#events.onReconnected();
        },
        onClock: (sample) => this.#clock.learn(sample),
        onError: (error) => this.#events.onError(this.#publicError(error)),
      },
    );
  }

  async #check(standing: Standing | null, deadline: Instant): Promise<void> {
    await this.#connections.refuseForeign();
    const seen = this.#sight.check(standing, deadline);
    if (this.#session === null) {
      seen.catch(() => undefined); // the schema comes first
      checkSchema((await this.#connections.commands.read(SCHEMA_INFO, [])).rows);
    }
    await seen;
    this.#isChecked = true;
  }

  async #publicly<T>(work: () => Promise<T>): Promise<T> {
    this.#connections.refuseIfClosed();
    try {
      return await work();
    } catch (error) {
      const failure = this.#publicError(error);
      this.#events.onFailure(failure);
      throw failure;
    }
  }

  #publicError(error: unknown): LeaseholdError {
    const { role } = this.#connections;
    const wasSent = !(error instanceof NotSent);
    const cause = wasSent ? error : error.cause;
    if (cause instanceof StandbyOnly && this.#isChecked) {
      const message = "Only a standby answers, and nothing was sent. Asking again helps once a primary does.";
      return new UnavailableError({ outcome: "not-sent", message, cause });
    }
    return toPublicError(cause, { wasSent, role });
  }
}
