import { type LeaseholdError, UnavailableError } from "../../errors/errors.js";
import type { Connections } from "../connection/connections.js";
import type { Answer, Lane } from "../connection/lane.js";
import type { Parameter, Row } from "../connection/link.js";
import type { ServerClock } from "../connection/server-clock.js";
import type { ActiveSession, Session } from "../session/session.js";
import type { SessionCheck } from "../session/session-check.js";
import type { Notifier } from "./notify.js";

/** Items in one statement: enough to share the commit, few enough that a statement stays short. */
export const MAX_BATCH = 1_000;

/** An answer to something that was asked in the name of a session. */
export interface Proven {
  readonly answer: Answer;
  /** Null without presence. */
  readonly session: ActiveSession | null;
  readonly incarnation: number;
}

export interface ActsInit {
  readonly connections: Connections;
  /** Null without presence. */
  readonly session: Session | null;
  readonly sessionCheck: SessionCheck;
  readonly clock: ServerClock;
  readonly notifier: Notifier;
  readonly takeoverDelayMs: number;
  readonly toPublicError: (error: unknown) => LeaseholdError;
}

/** What the acts share: the connections, the session in whose name they ask, and what every answer tells besides. */
export class Acts {
  readonly connections: Connections;
  readonly session: Session | null;
  readonly sessionCheck: SessionCheck;
  readonly clock: ServerClock;
  readonly takeoverDelayMs: number;
  readonly toPublicError: (error: unknown) => LeaseholdError;
  readonly #notifier: Notifier;

  constructor({ connections, session, sessionCheck, clock, notifier, takeoverDelayMs, toPublicError }: ActsInit) {
    this.connections = connections;
    this.session = session;
    this.sessionCheck = sessionCheck;
    this.clock = clock;
    this.takeoverDelayMs = takeoverDelayMs;
    this.toPublicError = toPublicError;
    this.#notifier = notifier;
  }

  async ask(lane: Lane, text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const answer = await lane.query(text, parameters);
    this.learn(answer);
    return answer;
  }

  /**
   * Asks in the name of the session, which the server checks: its number, its nonce and, `withDelay`, the takeover delay come first among
   * the parameters. Null when no session stands.
   * @throws UnavailableError when a commit meanwhile is not known to have reached its synchronous standby
   */
  async askProven(
    lane: Lane,
    text: string,
    parameters: readonly Parameter[],
    { withDelay = true }: { withDelay?: boolean } = {},
  ): Promise<Proven | null> {
    const active = this.session?.active ?? null;
    if (this.session !== null && active === null) {
      return null;
    }
    const { unconfirmedCommits } = this.connections;
    const who: Parameter[] = [active?.id ?? null, active?.nonce ?? null];
    if (withDelay) {
      who.push(active === null ? null : this.takeoverDelayMs);
    }
    const answer = await lane.query(text, who.concat(parameters));
    this.learn(answer);
    if (this.connections.unconfirmedCommits !== unconfirmedCommits) {
      throw new UnavailableError({
        outcome: "unknown",
        message:
          "The wait for a synchronous standby was cancelled: nothing that this statement granted or renewed is certain.",
      });
    }
    return { answer, session: active, incarnation: active?.incarnation ?? 0 };
  }

  /** Every answer with a `now` tells the server's time. */
  learn({ rows, sentAt, receivedAt }: Answer): void {
    const serverMs = Number(rows[0]?.now);
    if (serverMs > 0) {
      this.clock.learn({ sentAt, receivedAt, serverMs });
    }
  }

  /** Tells a session that somebody of its process is next. Those of this process are woken without the server. */
  wake(session: unknown): void {
    if (typeof session === "number" && session !== this.session?.id) {
      this.#notifier.add(session);
    }
  }

  wakeAll(rows: readonly Row[]): void {
    for (const { wake } of rows) {
      this.wake(wake);
    }
  }
}

/** Answers name their item by its number, counted from 1, and come in any order. */
export function inOrder<Result>(count: number, rows: readonly Row[], read: (row: Row) => Result): readonly Result[] {
  const results = new Array<Result>(count);
  for (const row of rows) {
    results[Number(row.item) - 1] = read(row);
  }
  return results;
}
