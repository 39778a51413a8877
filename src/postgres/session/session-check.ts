import { type LeaseholdError, UnsafeBackendError } from "../../errors/errors.js";
import { type Instant, msUntil } from "../../runtime/clock.js";
import type { Lane } from "../connection/lane.js";
import type { Row } from "../connection/link.js";
import type { ActiveSession } from "./presence.js";
import type { Session } from "./session.js";

export const SEES_SESSION: string = `select leasehold_internal.sees_session($1::int, $2::pg_catalog.uuid) as seen, leasehold_internal.fence_source() as source,
  leasehold_internal.database_id() as database_id`;

export const DATABASE_ID = "select leasehold_internal.database_id() as database_id";

/** How many times in a row the commands connection may fail to see a session that answers its heartbeat. */
const MAX_UNSEEN = 3;

/**
 * Checks that the commands connection sees the session alive (decision 17). If not, the two are on different databases
 * or servers.
 */
export class SessionCheck {
  readonly #session: Session | null;
  readonly #commands: Lane;
  readonly #onWarning: (error: LeaseholdError) => void;
  #unseen = 0;
  #databaseId: string | null = null;
  #prefetched: { readonly active: ActiveSession; readonly rows: Promise<readonly Row[]> } | null = null;

  constructor(session: Session | null, commands: Lane, onWarning: (error: LeaseholdError) => void) {
    this.#session = session;
    this.#commands = commands;
    this.#onWarning = onWarning;
  }

  /** Identifies the database of the leases, so that a guard in another database is refused. Null before the first check. */
  get databaseId(): string | null {
    return this.#databaseId;
  }

  /** Reads it again: an upgrade of the server or a restore changes it. */
  async findDatabaseId(): Promise<void> {
    const { rows } = await this.#commands.read(DATABASE_ID, []);
    this.#databaseId = String(rows[0]?.database_id);
  }

  /** Called when a new session is active: earlier misses say nothing about it. */
  reset(): void {
    this.#unseen = 0;
  }

  /** Provides the first answer for `check`, which was requested while the session was being set up. */
  prefetch(active: ActiveSession, rows: Promise<readonly Row[]>): void {
    rows.catch(() => undefined);
    this.#prefetched = { active, rows };
  }

  /** Repeats until the session is seen. @throws {UnsafeBackendError} if it was not seen MAX_UNSEEN times in a row */
  async check(active: ActiveSession | null, deadline: Instant): Promise<void> {
    for (let session = active; ; ) {
      const row = await this.#look(session);
      const isSeen = row?.seen === true;
      await this.record(session, isSeen);
      if (isSeen) {
        this.#databaseId = String(row.database_id);
        if (row.source === "manual") {
          this.#onWarning(
            new UnsafeBackendError({
              problem:
                "This service hides the write-ahead log: fences rise over a failover or a restore only when an operator helps",
              remedy: "After each of them, run: select leasehold.bump_epoch();",
            }),
          );
        }
        return;
      }
      session = (await this.#session?.open(Math.max(1, msUntil(deadline)))) ?? null;
    }
  }

  async #look(session: ActiveSession | null): Promise<Row | undefined> {
    const prefetched = this.#prefetched;
    this.#prefetched = null;
    if (prefetched !== null && prefetched.active === session) {
      const rows = await prefetched.rows.catch(() => []); // asked again below
      if (rows[0]?.seen === true) {
        return rows[0];
      }
    }
    const { rows } = await this.#commands.read(SEES_SESSION, [session?.id ?? null, session?.nonce ?? null]);
    return rows[0];
  }

  /** Records whether a statement saw the session that it named. @throws {UnsafeBackendError} if MAX_UNSEEN in a row did not */
  async record(active: ActiveSession | null, isSeen: boolean): Promise<void> {
    if (isSeen || active === null || this.#session?.active !== active) {
      this.#unseen = 0;
      return;
    }
    this.#unseen += (await this.#session.beatNow()) ? 1 : 0;
    if (this.#unseen >= MAX_UNSEEN) {
      throw new UnsafeBackendError({
        problem: "The connection for commands does not see the session: the two are on different databases or servers",
        remedy: "Let url and directUrl name the same database of the same server",
      });
    }
  }
}
