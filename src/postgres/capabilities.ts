import type { Capabilities, FeatureState } from "../api/capabilities.js";
import { isPool, type PostgresClient } from "../api/postgres-client.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import type { ConnectionStates, SchemaState, ServerState } from "../store/backend-state.js";

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
    "shared-locks": on("read locks and parts of a semaphore are rows beside the one of their key"),
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
    durable: on("a grant is on the disk before it is answered"),
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
