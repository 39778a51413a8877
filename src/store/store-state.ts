import type { LeaseholdError } from "../errors/errors.js";

/** A connection as this process sees it. `given`: the user's own client, of which nothing is known. */
export interface ConnectionState {
  readonly state: "none" | "connecting" | "open" | "given";
  /** The server process's; null where a pooler changes it. */
  readonly pid: number | null;
  /** When it was opened, by this process's clock. */
  readonly sinceMs: number | null;
  /** Statements without an answer yet. */
  readonly inFlight: number;
  /** Statements that are not sent yet. */
  readonly waiting: number;
}

export interface SessionState extends ConnectionState {
  /** The number that leases name, kept over reconnects. */
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
  /** Whether there may be a transaction pooler between the commands and Postgres. */
  readonly mayBePooled: boolean;
}

/** What a server says of itself. */
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
  /** The server's clock, less this process's; half of `ms` may be wrong. */
  readonly clockAheadMs: number;
  /** What holds back the removal of dead rows for longest, as far as the role may see it; null when nothing does; or why that cannot be read. */
  readonly horizon: Horizon | null | LeaseholdError;
  /** Of the schema; or why it cannot be read. */
  readonly schema: SchemaState | LeaseholdError;
}

/** A transaction, or a replication slot, whose snapshot keeps dead rows from being removed. */
export interface Horizon {
  /** `standby`: a query on a standby with hot_standby_feedback, which tells its primary of it. */
  readonly kind: "backend" | "standby" | "prepared-transaction" | "replication-slot";
  /** Transactions that began since. */
  readonly age: number;
  /** When the transaction began; null for a slot, and when the role may not see it. */
  readonly sinceMs: number | null;
  readonly pid: number | null;
  /** The application, the standby's, the prepared transaction's or the slot's name. */
  readonly name: string | null;
  readonly role: string | null;
  /** Of a backend, such as `idle in transaction`, where the role may see it. */
  readonly state: string | null;
}

/** The schema `leasehold`, as a role sees it. */
export interface SchemaState {
  readonly version: number;
  /** The oldest client that can work with it. */
  readonly minClient: number;
  /** `manual`: the service hides the write-ahead log, by which fences rise over a failover or a restore. */
  readonly fenceSource: "auto" | "manual";
  /** Whether this role may take locks from their holders. */
  readonly mayForceRelease: boolean;
}
