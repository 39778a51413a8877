/** What a worker of Node is started with. Names of applications are in the addresses. */
export interface CampaignWorkerArgs {
  readonly name: string;
  readonly seed: number;
  readonly logFile: string;
  readonly url: string;
  readonly directUrl?: string;
  /** Of the pools in which it writes under guards. */
  readonly dataUrl: string;
  readonly presence: "on" | "off";
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** How many acts at once. */
  readonly flows: number;
  readonly keys: CampaignKeys;
  /** In place of the weights that the acts have, by their names; 0: never. */
  readonly mix?: Readonly<Record<string, number>>;
  readonly libraries: readonly LibraryName[];
  /** Whether it may release the keys of others by force. */
  readonly mayForce: boolean;
  /** At once, too, while their holders still believe. */
  readonly mayForceImmediately?: boolean;
  /** Set-ups that must be refused, by the code of the error. */
  readonly unsafeUrls?: Readonly<Record<string, string>>;
}

export interface CampaignKeys {
  readonly exclusive: readonly string[];
  /** For read locks. */
  readonly shared: readonly string[];
  readonly semaphore: readonly { readonly key: string; readonly capacity: number }[];
  /** Exclusive ones, with a row in campaign.accounts each. */
  readonly accounts: readonly string[];
  /** What many wait for. */
  readonly waits: readonly string[];
}

export type LibraryName = "postgres.js" | "node-postgres" | "drizzle" | "kysely";
