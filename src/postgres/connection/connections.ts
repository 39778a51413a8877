import { setMaxListeners } from "node:events";
import type { ResolvedLockerOptions } from "../../config/resolve-options.js";
import { ClosedError } from "../../errors/errors.js";
import {
  type ClockSample,
  type ConnectOptions,
  connect,
  HostList,
  ownSettings,
  ownTransactionSettings,
  passingSettings,
  settle,
} from "./connect.js";
import { GivenLane, type Lane, type Made, OwnLane } from "./lane.js";
import type { Link, Notice } from "./link.js";
import { FOREIGN_OBJECTS, refuseForeignOrMissing } from "./owners.js";
import { Probe } from "./probe.js";
import { targetOfClient } from "./target-of-client.js";

type How = Pick<ConnectOptions, "prepare" | "settings" | "signal" | "onNotify" | "trustsOwners" | "acceptsMissing">;

/** A connection that is ours alone, provided that the address leads where the user says it does. */
const direct = { prepare: true, settings: passingSettings };
/**
 * One that may lead through a pooler: a setting would stick to somebody else's backend, and a prepared statement would be missing on the
 * next one. That the pid is the announced one proves nothing, for a pooler may pass it on. An unnamed statement costs 0.1 ms more than a
 * prepared one.
 */
const pooled = { prepare: false, settings: [] };

export interface ConnectionsEvents {
  onClock(sample: ClockSample): void;
  /** The server said something that nobody had asked for. */
  onNotice(notice: Notice): void;
}

/** Makes all connections of a locker. Three are kept: the session, and the lanes for commands and renewals. */
export class Connections {
  readonly commands: Lane;
  readonly renewals: Lane;
  /** Whether there may be a transaction pooler between these two and Postgres. */
  readonly mayBePooled: boolean;
  readonly #options: ResolvedLockerOptions;
  readonly #directHosts: HostList;
  /** The lanes that connect to the same address as the session. */
  readonly #directLanes: readonly OwnLane[];
  readonly #closing = new AbortController();
  /** Whether the direct address was found to be without a pooler. Only then are settings made for whole sessions. */
  #keepsBackends = false;
  readonly #onNotice: (notice: Notice) => void;
  readonly #ownDebug: () => OwnLane;
  /** Counts the commits that were answered although the wait for their synchronous standby had been cancelled. Set here alone. */
  unconfirmedCommits = 0;
  #role = "";

  constructor(options: ResolvedLockerOptions, { onClock, onNotice }: ConnectionsEvents) {
    this.#options = options;
    this.#onNotice = onNotice;
    setMaxListeners(0, this.#closing.signal); // each migration listens there while it connects
    const { requestTimeoutMs } = options;
    const directTarget = options.directTarget ?? (options.sql === null ? null : targetOfClient(options.sql));
    const target = options.target ?? directTarget;
    if (directTarget === null || target === null) {
      throw new TypeError("the options name no address"); // resolveLockerOptions has refused that
    }
    this.#directHosts = new HostList(directTarget);
    const hosts = target === directTarget ? this.#directHosts : new HostList(target);
    const mayBePooled = options.presence === "off" || hosts !== this.#directHosts || target.isPooledHint;
    const how = (): Pick<How, "prepare" | "settings"> =>
      mayBePooled ? pooled : this.#keepsBackends ? { ...direct, settings: ownSettings } : direct;
    const own = (purpose: string, more: Pick<How, "acceptsMissing"> = {}): OwnLane =>
      new OwnLane((signal) => this.#connect(hosts, purpose, { ...how(), ...more, signal }), requestTimeoutMs, onClock);
    this.#ownDebug = () => own("debug", { acceptsMissing: true });
    const renewals = own("renewals");
    const commands = options.sql === null ? own("commands") : new GivenLane(options.sql, requestTimeoutMs);
    this.mayBePooled = mayBePooled;
    this.renewals = renewals;
    this.commands = commands;
    this.#directLanes = mayBePooled ? [] : [renewals, commands].filter((lane) => lane instanceof OwnLane);
  }

  /** The role that the newest connection logged in as. */
  get role(): string {
    return this.#role;
  }

  /** A connection to `directUrl` for one purpose. The caller configures and ends it. */
  directly(purpose: string, how: Pick<How, "signal" | "onNotify">): Promise<Made> {
    return this.#connect(this.#directHosts, purpose, { ...direct, ...how });
  }

  /**
   * Two more connections to `directUrl`, for the pooler test: those of the lanes where possible, because they are needed anyway. Never more
   * than three connections at once. If the test passes, the address is known to be without a pooler.
   */
  probes(signal: AbortSignal): readonly [Probe, Probe] {
    const [first, second] = this.#directLanes;
    return [this.#probe(first, signal), this.#probe(second, signal)];
  }

  /**
   * The same for migrations, whose statements differ each time, and who look at owners themselves. They run in a transaction that
   * sets what they need: nobody has tested yet whether the connection is ours alone.
   */
  forMigration(): Promise<Made> {
    const how = { prepare: false, settings: ownTransactionSettings, trustsOwners: true, signal: this.#closing.signal };
    return this.#connect(this.#directHosts, "migrate", how);
  }

  /** Before anything is called over a client that was given: our own connections do it when they are made. */
  async refuseForeign(): Promise<void> {
    if (this.commands instanceof GivenLane) {
      refuseForeignOrMissing((await this.commands.query(FOREIGN_OBJECTS, [])).rows);
    }
  }

  /** Over a connection for this alone, which is made although the schemas are missing: to look at the server, and to call nothing in them. */
  async inspect<Result>(look: (lane: Lane) => Promise<Result>): Promise<Result> {
    const lane = this.#ownDebug();
    try {
      return await look(lane);
    } finally {
      await lane.end();
    }
  }

  /** Gives the lanes' connections back. The next statement opens them again. */
  async rest(): Promise<void> {
    await Promise.all([this.commands.end(), this.renewals.end()]);
  }

  /** From now on none is made: what was asked for before may still go on after a close. */
  refuse(): void {
    this.#closing.abort();
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  refuseIfClosed(): void {
    if (this.isClosed) {
      throw new ClosedError();
    }
  }

  #probe(lane: OwnLane | undefined, signal: AbortSignal): Probe {
    if (lane === undefined) {
      const made = this.directly("test", { signal });
      const cut = (): void => void made.then(({ link }) => link.destroy()).catch(() => undefined);
      return new Probe({ made, lane: null, end: cut });
    }
    const { made, giveBack } = lane.lend();
    const end = (link: Link | null): void => {
      if (link !== null) {
        this.#keepsBackends = true;
        // Later statements are sent after that.
        settle(link).catch((error: Error) => link.destroy(error));
      }
      giveBack();
      if (link === null) {
        void lane.end();
      }
    };
    return new Probe({ made, lane, end });
  }

  async #connect(hosts: HostList, purpose: string, how: How): Promise<Made> {
    this.refuseIfClosed();
    const { applicationName } = hosts.target;
    const { keep_alive } = this.#options.connection;
    const made = await connect({
      ...how,
      hosts,
      applicationName: `leasehold ${purpose}${applicationName === null ? "" : ` ${applicationName}`}`.slice(0, 63),
      connectTimeoutMs: this.#options.connectTimeoutMs,
      ...(keep_alive === undefined ? {} : { keepAliveMs: keep_alive * 1_000 }),
      onNotice: this.#onNotice,
      onUnconfirmedCommit: () => {
        this.unconfirmedCommits += 1;
      },
    });
    if (this.#closing.signal.aborted) {
      made.link.destroy();
    }
    this.refuseIfClosed();
    this.#role = made.hello.role;
    return made;
  }
}
