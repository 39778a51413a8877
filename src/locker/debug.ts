import type { LockJson } from "../api/lock.js";
import type { JsonObject } from "../api/metadata.js";
import type { LockMode } from "../api/share-options.js";
import type { Claim, ClaimState } from "../claim/claim.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import { modeOf } from "../config/share.js";
import { UnavailableError } from "../errors/errors.js";
import type { Holdings } from "../hold/holdings.js";
import type { Recent } from "../observe/recent.js";
import type { DebugError, RecentError } from "../observe/recent-errors.js";
import type { LostLock } from "../observe/recently-lost.js";
import type { Clock } from "../runtime/clock.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";
import { VERSION } from "../runtime/version.js";
import type { Backend } from "../store/backend.js";
import type {
  ConnectionState,
  ConnectionStates,
  Horizon,
  SchemaState,
  ServerState,
  SessionState,
  StoreState,
} from "../store/backend-state.js";
import { describeOptions } from "./describe-options.js";

/**
 * What `locker.debug()` returns: plain JSON, so that it can be logged as it is. Fences are decimal strings, times are in ISO 8601, an
 * unlimited duration is `"Infinity"`. It shows no token, no password, no user and no parameter of an address.
 */
export interface DebugInfo {
  /** When this snapshot was taken, by this process's clock. The server was asked after that. */
  readonly at: string;
  /** The version of this package. */
  readonly version: string;
  /** Tells the lockers of this process apart: 1 for the first that was made. As in the messages of its channels. */
  readonly lockerId: number;
  /** `closing`: `close()` was called and has not ended. */
  readonly state: "open" | "closing" | "closed";
  /** The options in effect, by name, with `[function]` or `[hidden]` for what is not shown. */
  readonly options: JsonObject;
  /** Its three connections; null for a store that has none, and where each of several instances has its own. */
  readonly connections: DebugConnections | null;
  /** The locks that this process holds. */
  readonly locks: readonly LockJson[];
  /** The locks that it lost within the last 10 minutes, the newest first, 100 at most. */
  readonly lost: readonly LostLock[];
  /** The calls that acquire and have not settled yet. */
  readonly waits: readonly DebugWait[];
  /** The last errors, the newest first, 50 at most: also those that were retried, so that no caller saw them. */
  readonly errors: readonly RecentError[];
  /** What the server says of itself, or why it does not. With instances, whether all of them do. */
  readonly server: DebugServer | DebugStore | DebugServerFailure;
  /** The same of each instance, by its name; empty without the option `instances`. */
  readonly instances: { readonly [name: string]: DebugInfo };
}

/** The connections of a locker. */
export interface DebugConnections {
  /** The one that proves that this process is alive; null with `presence: "off"`. */
  readonly session: DebugSession | null;
  /** The one for acquire, release and the like. */
  readonly commands: DebugConnection;
  /** The one for renewals and sweeps. */
  readonly renewals: DebugConnection;
}

/** One connection. */
export interface DebugConnection {
  /** `given`: the locker's option `client`, a pool of which nothing is known. */
  readonly state: "none" | "connecting" | "open" | "given";
  /** The server process; null where a pooler changes it. */
  readonly pid: number | null;
  /** Since when it is open; null unless it is. */
  readonly since: string | null;
  /** Statements without an answer yet. */
  readonly inFlight: number;
  /** Statements that are not sent yet. */
  readonly waiting: number;
}

/** The session's connection. */
export interface DebugSession extends DebugConnection {
  /** As `session_id` in the views. */
  readonly id: number | null;
  /** How many sessions there have been: more than 1 after a reconnect. */
  readonly incarnation: number;
  /** Since when it is registered; null unless it is. */
  readonly standingSince: string | null;
  /** When the last heartbeat that was answered was sent. */
  readonly seenAt: string | null;
  /** Whether that is so recent that nobody can have confirmed this process dead. */
  readonly isBelieved: boolean;
}

/** One call of `acquire`, or of another method that acquires. */
export interface DebugWait {
  /** The full key, prefix included. */
  readonly key: string;
  /** The option `owner` of the call. */
  readonly owner: string;
  /** How it asks for the key. */
  readonly mode: LockMode;
  /** What it would take of the capacity: 1 unless it asks for a part of a semaphore. */
  readonly weight: number;
  /** The option `capacity` of the call; null without it. */
  readonly capacity: number | null;
  /** When the call was made, by this process's clock. */
  readonly since: string;
  /** Milliseconds since then. */
  readonly waitedMs: number;
  /** How long it is willing to wait, or to retry; 0 for a call that only tries. */
  readonly waitMs: number | "Infinity";
  /** Its ticket in the queue: smaller numbers are served first. Null before the first answer, and for a call that tries or retries. */
  readonly ticket: string | null;
  /** How often it has looked. */
  readonly attempts: number;
  /** Who held the key at the last look. */
  readonly holder: { readonly owner: string | null; readonly fence: string; readonly expiresAt: string } | null;
  /** The server process whose open transaction had locked the row at the last look. */
  readonly blockingPid: number | null;
}

/** What the server said about itself. */
export interface DebugServer extends Omit<ServerState, "horizon" | "schema"> {
  /** It has answered. */
  readonly isReachable: true;
  /** Its schema `leasehold`; null when that could not be read. */
  readonly schema: SchemaState | null;
  /** Why `schema` is null. */
  readonly schemaError: DebugError | null;
  /**
   * What has held back the removal of dead rows for longest in this database, as far as the role may see it: while something
   * does, keys that are locked often get slow. Null when nothing does.
   */
  readonly horizon: DebugHorizon | null;
  /** Why `horizon` is not known. */
  readonly horizonError: DebugError | null;
}

/** What a store that is not Postgres said about itself. */
export interface DebugStore extends StoreState {
  /** It has answered. */
  readonly isReachable: true;
}

/** A transaction, or a replication slot, whose snapshot keeps dead rows from being removed. */
export interface DebugHorizon extends Omit<Horizon, "sinceMs"> {
  /** When the transaction began. Null for a slot, and for a transaction that the role may not see (see pg_read_all_stats). */
  readonly since: string | null;
}

/** The server did not answer. */
export interface DebugServerFailure {
  /** It has not answered. */
  readonly isReachable: false;
  /** Why not. */
  readonly error: DebugError;
}

/** What a locker hands over to be described. */
export interface DebugParts {
  readonly lockerId: number;
  readonly options: ResolvedLockerOptions;
  readonly state: DebugInfo["state"];
  readonly backend: Backend;
  readonly holdings: Holdings;
  readonly claims: Iterable<Claim>;
  readonly recent: Recent;
}

/** Never rejects. */
export async function describeLocker(parts: DebugParts): Promise<DebugInfo> {
  const { lockerId, options, state, backend, holdings, claims, recent } = parts;
  // All of this happens before the first await: a snapshot of one moment.
  const here = {
    at: toIso(backend.clock.wallNowMs()),
    version: VERSION,
    lockerId,
    state,
    options: describeOptions(options),
    connections: backend.connections === null ? null : describeConnections(backend.connections),
    locks: holdings.all().map((lock) => lock.toJSON()),
    lost: recent.lostLocks.all(),
    waits: Array.from(claims, ({ state }) => describeWait(state, backend.clock)),
    errors: recent.errors.all(),
  };
  return { ...here, server: await describeServer(parts), instances: {} };
}

async function describeServer({ backend, options, recent }: DebugParts): Promise<DebugInfo["server"]> {
  try {
    const asking = backend.describeServer();
    const state = await withTimeoutOf(backend.clock, asking, options.requestTimeoutMs);
    if (!("schema" in state)) {
      return { isReachable: true, ...state };
    }
    const { schema, horizon, ...plain } = state;
    return {
      isReachable: true,
      ...plain,
      schema: schema instanceof Error ? null : schema,
      schemaError: schema instanceof Error ? recent.errors.describe(schema) : null,
      horizon: horizon === null || horizon instanceof Error ? null : describeHorizon(horizon),
      horizonError: horizon instanceof Error ? recent.errors.describe(horizon) : null,
    };
  } catch (error) {
    const cause = error instanceof RequestTimeout ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
    return { isReachable: false, error: recent.errors.describe(cause) };
  }
}

function describeConnections({ session, commands, renewals }: ConnectionStates): DebugConnections {
  return {
    session: session === null ? null : describeSession(session),
    commands: describeConnection(commands),
    renewals: describeConnection(renewals),
  };
}

function describeConnection({ state, pid, sinceMs, inFlight, waiting }: ConnectionState): DebugConnection {
  return { state, pid, since: toIso(sinceMs), inFlight, waiting };
}

function describeSession(session: SessionState): DebugSession {
  const { id, incarnation, standingSinceMs, seenAtMs, isBelieved } = session;
  const times = { standingSince: toIso(standingSinceMs), seenAt: toIso(seenAtMs) };
  return { ...describeConnection(session), id, incarnation, ...times, isBelieved };
}

function describeWait(state: ClaimState, clock: Clock): DebugWait {
  const { key, terms, startedAt, ticket, attempts, holder, blockingPid } = state;
  return {
    key,
    owner: terms.owner,
    mode: modeOf(terms.share),
    weight: terms.share?.weight ?? 1,
    capacity: terms.share?.capacity ?? null,
    since: toIso(startedAt.wallMs),
    waitedMs: clock.elapsedMs(startedAt),
    waitMs: terms.waitMs === Number.POSITIVE_INFINITY ? "Infinity" : terms.waitMs,
    ticket: ticket?.toString() ?? null,
    attempts,
    holder:
      holder === null
        ? null
        : { owner: holder.owner, fence: holder.fence.toString(), expiresAt: toIso(holder.expiresAtMs) },
    blockingPid,
  };
}

function describeHorizon({ sinceMs, ...plain }: Horizon): DebugHorizon {
  return { ...plain, since: toIso(sinceMs) };
}

function toIso(ms: number): string;
function toIso(ms: number | null): string | null;
function toIso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
