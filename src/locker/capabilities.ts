import { isPool, type PostgresClient } from "../api/postgres-client.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import type { ConnectionStates, SchemaState, ServerState } from "../store/store-state.js";

/**
 * What a locker may or may not offer, depending on its options and the server:
 * - `crash-detection`: the locks of a process that died are free after its `takeoverDelayMs`, instead of at their TTL;
 * - `queue`: waiters are served in the order in which they queued;
 * - `wake-ups`: the next waiter is notified, instead of only looking every second;
 * - `guarded-writes`: `lock.transaction(db, body)` and `lock.guard(tx)`;
 * - `bounded-transactions`: `guardTimeoutMs` bounds a guarded transaction as a whole, instead of only its statements and pauses;
 * - `failover-fences`: fences go on rising after a failover or a restore, without help;
 * - `named-statements`: commands are prepared once per connection, which saves the server 0.1 ms a call;
 * - `force-release`: this role may take locks from their holders.
 */
export type Feature =
  | "crash-detection"
  | "queue"
  | "wake-ups"
  | "guarded-writes"
  | "bounded-transactions"
  | "failover-fences"
  | "named-statements"
  | "force-release";

/** Whether the locker has a feature, and why. */
export interface FeatureState {
  readonly isOn: boolean;
  readonly why: string;
}

/** What `locker.capabilities()` says. Plain JSON. */
export interface Capabilities {
  readonly serverVersion: string;
  readonly schemaVersion: number;
  readonly presence: "on" | "off";
  /**
   * `auto`: fences are positions in the server's write-ahead log. `manual`: the service hides that, so that an operator has to call
   * `leasehold.bump_epoch()` after a failover or a restore.
   */
  readonly fenceSource: "auto" | "manual";
  /** `pooled`: a transaction pooler may stand in between. `given`: over the option `client`. */
  readonly commands: "direct" | "pooled" | "given";
  readonly features: Readonly<Record<Feature, FeatureState>>;
}

/** The first version with transaction_timeout. */
const BOUNDED_FROM = 170_000;

export function toCapabilities(
  { presence, client }: ResolvedLockerOptions,
  { commands, mayBePooled, namesStatements }: ConnectionStates,
  server: ServerState,
  { version, fenceSource, mayForceRelease }: SchemaState,
): Capabilities {
  const isPresent = presence === "on";
  const withoutSession = 'presence: "off" keeps no session, over which Postgres could tell';
  const isGiven = commands.state === "given";
  const features: Capabilities["features"] = {
    "crash-detection": isPresent
      ? on("Postgres drops the session of a process that dies")
      : off('presence: "off": a crash frees the locks at their TTL'),
    queue: on("the queue is a table, the same for all processes"),
    "wake-ups": isPresent
      ? on("Postgres tells the session of who is next")
      : off(`${withoutSession} who is next: waiters look every second`),
    "guarded-writes": on("any transaction in the database of the leases can be guarded"),
    "bounded-transactions":
      server.versionNumber >= BOUNDED_FROM
        ? on("Postgres 17 and later have transaction_timeout")
        : off(
            `Postgres ${server.version} has no transaction_timeout: many short statements without a pause are not bounded`,
          ),
    "failover-fences":
      fenceSource === "auto"
        ? on("they are positions in the write-ahead log, under the timeline of the server")
        : off(
            "this service hides its write-ahead log: after a failover or a restore, run select leasehold.bump_epoch();",
          ),
    "named-statements": namesStatements
      ? on(
          client === null
            ? "nothing stands between the locker and Postgres"
            : "the given client prepares its statements",
        )
      : off(whyUnnamed(client)),
    "force-release": mayForceRelease
      ? on("this role was granted it, or owns the schema")
      : off("this role was not granted it: that is for administrators"),
  };
  const way = isGiven ? "given" : mayBePooled ? "pooled" : "direct";
  return { serverVersion: server.version, schemaVersion: version, presence, fenceSource, commands: way, features };
}

function whyUnnamed(client: PostgresClient | null): string {
  return client !== null && !isPool(client)
    ? "the given client was made with prepare: false"
    : "a transaction pooler may stand in between";
}

function on(why: string): FeatureState {
  return { isOn: true, why };
}

function off(why: string): FeatureState {
  return { isOn: false, why };
}
