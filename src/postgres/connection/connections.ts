import { isPool } from "../../api/postgres-client.js";
import type { ConnectionTarget } from "../../config/connection-url.js";
import { CONNECT_TIMEOUT_MS, type ResolvedLockerOptions } from "../../config/resolve-options.js";
import { ClosedError } from "../../errors/errors.js";
import { allowManyListeners } from "../../runtime/abort-listeners.js";
import type { ClockSample } from "../../store/server-clock.js";
import type { Notice } from "./client.js";
import {
  type ConnectOptions,
  connect,
  HostList,
  ownSettings,
  ownTransactionSettings,
  passingSettings,
  settle,
} from "./connect.js";
import { placeOf } from "./failed-at.js";
import { GivenLane } from "./given-lane.js";
import { type Lane, type Made, OwnLane } from "./lane.js";
import type { Link } from "./link.js";
import { FOREIGN_OBJECTS, refuseForeignOrMissing } from "./owners.js";
import { Probe } from "./probe.js";
import { targetOfClient } from "./target-of-client.js";

type How = Pick<ConnectOptions, "prepare" | "settings" | "signal" | "onNotify" | "trustsOwners" | "acceptsMissing">;

/** For a connection that is ours alone, provided that the user's address is right. */
const direct = { prepare: true, settings: passingSettings };
/**
 * For a connection that may lead through a pooler: a setting would stay on a backend that others use, and a prepared
 * statement would be missing on the next backend. An announced pid that is right proves nothing, because a pooler may
 * pass it on. An unnamed statement costs 0.1 ms more than a prepared one.
 */
const pooled = { prepare: false, settings: [] };

export interface ConnectionsEvents {
  onClock(sample: ClockSample): void;
  /** The server sent a notice or another unsolicited message. */
  onNotice(notice: Notice): void;
}

/** Where the connections of a locker lead. */
interface Route {
  readonly hosts: HostList;
  /** Those of `directUrl`; the same object when there is no other address. */
  readonly directHosts: HostList;
  /** Whether a given client connects to the direct address, too. */
  readonly isClientThere: boolean;
}

/** Makes all connections of a locker. It keeps three: the session, and the lanes for commands and renewals. */
export class Connections {
  readonly commands: Lane;
  readonly renewals: Lane;
  readonly #options: ResolvedLockerOptions;
  #foundRoute: Route | null = null;
  readonly #closing = new AbortController();
  /** Whether the direct address was found to have no pooler. Only then are settings made for whole sessions. */
  #keepsBackends = false;
  readonly #onNotice: (notice: Notice) => void;
  readonly #ownDebug: () => OwnLane;
  /**
   * Number of commits that were answered although the wait for their synchronous standby was cancelled (rule 9). Set
   * only here.
   */
  unconfirmedCommits = 0;
  #role = "";

  constructor(options: ResolvedLockerOptions, { onClock, onNotice }: ConnectionsEvents) {
    this.#options = options;
    this.#onNotice = onNotice;
    allowManyListeners(this.#closing.signal); // each migration listens there while it connects
    const { requestTimeoutMs } = options;
    const how = (): Pick<How, "prepare" | "settings"> =>
      this.mayBePooled ? pooled : this.#keepsBackends ? { ...direct, settings: ownSettings } : direct;
    const own = (purpose: string, more: Pick<How, "acceptsMissing"> = {}): OwnLane =>
      new OwnLane(
        async (signal) => await this.#connect(this.#route.hosts, purpose, { ...how(), ...more, signal }),
        requestTimeoutMs,
        onClock,
      );
    this.#ownDebug = () => own("debug", { acceptsMissing: true });
    this.renewals = own("renewals");
    this.commands =
      options.client === null
        ? own("commands")
        : new GivenLane({
            client: options.client,
            timeoutMs: requestTimeoutMs,
            isDirect: () => this.#isClientDirect,
          });
  }

  /** Whether the two lanes may lead through a transaction pooler, as far as it is known where they lead. */
  get mayBePooled(): boolean {
    const route = this.#foundRoute;
    const isPassedBy = route !== null && (route.hosts !== route.directHosts || route.hosts.target.isPooledHint);
    return this.#options.presence === "off" || isPassedBy;
  }

  /** Whether commands are prepared, once for each connection. */
  get namesStatements(): boolean {
    const { client } = this.#options;
    if (client === null) {
      return !this.mayBePooled;
    }
    return isPool(client) ? this.#isClientDirect : (client.options as { readonly prepare?: unknown }).prepare !== false;
  }

  /** Whether a given Pool leads to where the pooler test found none. */
  get #isClientDirect(): boolean {
    return this.#keepsBackends && !this.mayBePooled && this.#foundRoute?.isClientThere === true;
  }

  /** Where commands go, for people to read; null when it is not known. */
  get place(): string | null {
    const { hosts } = this.#foundRoute ?? {};
    return hosts === undefined
      ? null
      : hosts
          .inOrder()
          .map((host) => placeOf(hosts.target, host))
          .join(", ");
  }

  /** The role that the newest connection logged in as. */
  get role(): string {
    return this.#role;
  }

  /** A connection to `directUrl` for one purpose. The caller configures and ends it. */
  async directly(purpose: string, how: Pick<How, "signal" | "onNotify">): Promise<Made> {
    return await this.#connect(this.#route.directHosts, purpose, { ...direct, ...how });
  }

  /**
   * Two more connections to `directUrl` for the pooler test. Uses those of the lanes if possible, because they are
   * needed anyway, so that there are never more than three at once. If the test passes, the address is known to have no
   * pooler.
   */
  probes(signal: AbortSignal): readonly [Probe, Probe] {
    // The lanes that connect to the same address as the session. It may be asked before anything has connected.
    const { hosts, directHosts } = this.#route;
    const [first, second] =
      hosts !== directHosts || this.mayBePooled
        ? []
        : [this.renewals, this.commands].filter((lane) => lane instanceof OwnLane);
    return [this.#probe(first, signal), this.#probe(second, signal)];
  }

  /**
   * The same for a migration, which checks the owners itself. Its statements are never repeated, so they are not
   * prepared. It runs in a transaction with its own settings, because nobody has tested whether the connection is ours
   * alone.
   */
  async forMigration(): Promise<Made> {
    const how = { prepare: false, settings: ownTransactionSettings, trustsOwners: true, signal: this.#closing.signal };
    return await this.#connect(this.#route.directHosts, "migrate", how);
  }

  /** Called before anything is called over a given client. Our own connections do this check when they connect (rule 11). */
  async refuseForeign(): Promise<void> {
    if (this.commands instanceof GivenLane) {
      refuseForeignOrMissing((await this.commands.query(FOREIGN_OBJECTS, [])).rows);
    }
  }

  /**
   * Looks at the server over a separate connection, which is made even if the schemas are missing. `look` must not call
   * anything in them.
   */
  async inspect<Result>(look: (lane: Lane) => Promise<Result>): Promise<Result> {
    const lane = this.#ownDebug();
    try {
      return await look(lane);
    } finally {
      await lane.end();
    }
  }

  /** Closes the connections of the lanes. The next statement opens them again. */
  async rest(): Promise<void> {
    await Promise.all([this.commands.end(), this.renewals.end()]);
  }

  /** Refuses new connections from now on. Earlier calls may still be running after a close. */
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

  /** Found when it is first needed. @throws InvalidOptionError when nobody says where to connect */
  get #route(): Route {
    this.#foundRoute ??= findRoute(this.#options);
    return this.#foundRoute;
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
        // Later statements are sent after this one.
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
      keepsProcess: false, // the calls that await an answer do, see activity.ts
      applicationName: `leasehold ${purpose}${applicationName === null ? "" : ` ${applicationName}`}`.slice(0, 63),
      connectTimeoutMs: this.#options.connectTimeoutMs ?? hosts.target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
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

function findRoute({ targets, client }: ResolvedLockerOptions): Route {
  const { target, directTarget } = targets();
  const given = client === null ? null : targetOfClient(client);
  const direct = directTarget ?? given;
  const own = target ?? direct;
  if (direct === null || own === null) {
    throw new TypeError("the options name no address"); // resolveTargets refuses that
  }
  const directHosts = new HostList(direct);
  const hosts = own === direct ? directHosts : new HostList(own);
  return { hosts, directHosts, isClientThere: given !== null && !given.isPooledHint && isSameServer(given, direct) };
}

function isSameServer(one: ConnectionTarget, other: ConnectionTarget): boolean {
  const address = ({ hosts, path, database }: ConnectionTarget) => JSON.stringify([hosts, path, database]);
  return address(one) === address(other);
}
