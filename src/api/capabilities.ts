/**
 * What a locker may or may not offer, depending on its options and the server:
 * - `crash-detection`: the locks of a process that died are free after its `takeoverDelayMs`, instead of at their TTL;
 * - `queue`: waiters are served in the order in which they queued;
 * - `wake-ups`: the next waiter is notified, instead of only looking every second;
 * - `shared-locks`: keys can be shared: the options `shared`, `capacity` and `weight`;
 * - `guarded-writes`: `lock.transaction(db, body)` and `lock.guard(tx)`;
 * - `bounded-transactions`: `guardTimeoutMs` bounds a guarded transaction as a whole, instead of only its statements and pauses;
 * - `failover-fences`: fences go on rising after a failover or a restore, without help;
 * - `named-statements`: commands are prepared once per connection, which saves the server 0.1 ms a call;
 * - `force-release`: this role may take locks from their holders;
 * - `durable`: a grant outlives a crash of the store.
 */
export type Feature =
  | "crash-detection"
  | "queue"
  | "wake-ups"
  | "shared-locks"
  | "guarded-writes"
  | "bounded-transactions"
  | "failover-fences"
  | "named-statements"
  | "force-release"
  | "durable";

/** Whether the locker has a feature, and why. */
export interface FeatureState {
  /** Whether the locker offers it. */
  readonly isOn: boolean;
  /** Why or why not, in a sentence. */
  readonly why: string;
}

/** What `locker.capabilities()` says. Plain JSON. */
export interface Capabilities {
  /** Of Postgres, such as `18.4`; the name of any other store. */
  readonly serverVersion: string;
  /** Of the schema `leasehold` in the database; null in any other store. */
  readonly schemaVersion: number | null;
  /** The option. */
  readonly presence: "on" | "off";
  /**
   * `auto`: fences are positions in the server's write-ahead log. `manual`: the service hides that, so that an operator has to call
   * `leasehold.bump_epoch()` after a failover or a restore.
   */
  readonly fenceSource: "auto" | "manual";
  /** `pooled`: a transaction pooler may stand in between. `given`: over the option `client`. */
  readonly commands: "direct" | "pooled" | "given";
  /** Each feature, and why it is on or off. */
  readonly features: Readonly<Record<Feature, FeatureState>>;
}
