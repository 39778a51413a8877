import type { CampaignKeys } from "../worker/arguments.js";

/** What a client of the SQL API is started with: as JSON, in its first argument. It ends after a line `finish` on its standard input. */
export interface SqlClientArgs {
  readonly name: string;
  readonly seed: number;
  readonly logFile: string;
  readonly url: string;
  /** `on`: its locks are tied to its connection (leasehold.attach), and free soon after it has ended. */
  readonly presence: "on" | "off";
  /** `statement_timeout` of its connections. A second later it gives up a connection that says nothing. */
  readonly statementTimeoutMs: number;
  readonly keys: CampaignKeys;
}
