import { type Instant, msUntil } from "../clock.js";
import { type LeaseholdError, UnsafeBackendError } from "../errors.js";
import type { Lane } from "./lane.js";
import type { Row } from "./link.js";
import type { Session, Standing } from "./session.js";
import { PLACE, SEES_SESSION } from "./statements.js";

/** How often the commands connection may not see a session that answers its heartbeat before that is an error. */
const MAX_UNSEEN = 3;

/** Whether the connection for commands sees the session alive: else the two are on different databases or servers. */
export class Sight {
  readonly #session: Session | null;
  readonly #commands: Lane;
  readonly #onWarning: (error: LeaseholdError) => void;
  #unseen = 0;
  #place: string | null = null;
  #foreseen: { readonly standing: Standing; readonly rows: Promise<readonly Row[]> } | null = null;

  constructor(session: Session | null, commands: Lane, onWarning: (error: LeaseholdError) => void) {
    this.#session = session;
    this.#commands = commands;
    this.#onWarning = onWarning;
  }

  /** Which database the leases are in, for a guard in a transaction of the user's; null before the first check. */
  get place(): string | null {
    return this.#place;
  }

  /** Asks again: an upgrade of the server or a restore has made it another one. */
  async findPlace(): Promise<void> {
    const { rows } = await this.#commands.read(PLACE, []);
    this.#place = String(rows[0]?.place);
  }

  /** A new session stands: what was not seen before says nothing about it. */
  reset(): void {
    this.#unseen = 0;
  }

  /** What `check` will ask first was asked already, of the connection for commands, while other things went on. */
  foresee(standing: Standing, rows: Promise<readonly Row[]>): void {
    rows.catch(() => undefined);
    this.#foreseen = { standing, rows };
  }

  /** Asks until the session is seen, or is not for the last time. @throws {UnsafeBackendError} */
  async check(standing: Standing | null, deadline: Instant): Promise<void> {
    for (let session = standing; ; ) {
      const row = await this.#look(session);
      const isSeen = row?.seen === true;
      await this.judge(session, isSeen);
      if (isSeen) {
        this.#place = String(row.place);
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

  async #look(session: Standing | null): Promise<Row | undefined> {
    const foreseen = this.#foreseen;
    this.#foreseen = null;
    if (foreseen !== null && foreseen.standing === session) {
      const rows = await foreseen.rows.catch(() => []); // it is asked again
      if (rows[0]?.seen === true) {
        return rows[0];
      }
    }
    const { rows } = await this.#commands.read(SEES_SESSION, [session?.id ?? null, session?.nonce ?? null]);
    return rows[0];
  }

  /** Takes what a statement said of the session that it named. @throws {UnsafeBackendError} the third time in a row */
  async judge(standing: Standing | null, isSeen: boolean): Promise<void> {
    if (isSeen || standing === null || this.#session?.standing !== standing) {
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
