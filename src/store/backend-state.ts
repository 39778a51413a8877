import type { LeaseholdError } from "../errors/errors.js";

/** A connection as this process sees it. `given`: the user's own client, about which nothing is known. */
export interface ConnectionState {
  readonly state: "none" | "connecting" | "open" | "given";
  /** The process id of the server process; null where a pooler changes it. */
  readonly pid: number | null;
  /** When it was opened, by the clock of this process. */
  readonly sinceMs: number | null;
  /** Statements without an answer yet. */
  readonly inFlight: number;
  /** Statements that have not been sent yet. */
  readonly waiting: number;
}

export interface SessionState extends ConnectionState {
  /** The session number in the rows of leases. It survives reconnects. */
  readonly id: number | null;
  /** Number of sessions registered so far. */
  readonly incarnation: number;
  readonly standingSinceMs: number | null;
  /** When the last successful heartbeat was sent. */
  readonly seenAtMs: number | null;
  /** Whether that is so recent that nobody can have confirmed this process dead. */
  readonly isBelieved: boolean;
}

export interface ConnectionStates {
  /** Null without presence. */
  readonly session: SessionState | null;
  readonly commands: ConnectionState;
  readonly renewals: ConnectionState;
  /** Whether there may be a transaction pooler between the commands connection and Postgres. */
  readonly mayBePooled: boolean;
  /** Whether commands are prepared, once for each connection. */
  readonly namesStatements: boolean;
}

/** What a store that is not Postgres says about itself. */
export interface StoreState {
  /** How long its answer took. */
  readonly ms: number;
  /** The store's name, or what it answers as its version. */
  readonly version: string;
}

/** What a server says about itself. */
export interface ServerState {
  /** How long its first answer took. */
  readonly ms: number;
  /** Such as `17.2`. */
  readonly version: string;
  /** Such as 170002. */
  readonly versionNumber: number;
  readonly isInRecovery: boolean;
  readonly database: string;
  readonly role: string;
  /** The server's clock minus that of this process. The error is at most half of `ms`. */
  readonly clockAheadMs: number;
  /** What has held back the removal of dead rows for longest, as far as the role may see it. Null: nothing does. An error: it cannot be read. */
  readonly horizon: Horizon | null | LeaseholdError;
  /** The state of the schema, or why it cannot be read. */
  readonly schema: SchemaState | LeaseholdError;
}

/** A transaction, or a replication slot, whose snapshot keeps dead rows from being removed. */
export interface Horizon {
  /** `standby`: a query on a standby, which reports it to the primary (hot_standby_feedback). */
  readonly kind: "backend" | "standby" | "prepared-transaction" | "replication-slot";
  /** How many transactions have begun since. */
  readonly age: number;
  /** When the transaction began; null for a slot, and when the role may not see it. */
  readonly sinceMs: number | null;
  readonly pid: number | null;
  /** The name of the application, the standby, the prepared transaction or the slot. */
  readonly name: string | null;
  readonly role: string | null;
  /** The state of a backend, such as `idle in transaction`, if the role may see it. */
  readonly state: string | null;
}

/** The schema `leasehold`, as a role sees it. */
export interface SchemaState {
  readonly version: number;
  /** The oldest client that can work with it. */
  readonly minClient: number;
  /** `manual`: the service hides the write-ahead log, without which fences do not rise by themselves over a failover or a restore. */
  readonly fenceSource: "auto" | "manual";
  /** Whether this role may take locks from their holders. */
  readonly mayForceRelease: boolean;
}
