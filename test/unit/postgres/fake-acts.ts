// The acts over connections whose statements the test answers, row by row.
import { UnavailableError } from "../../../src/errors/errors.js";
import { Acts } from "../../../src/postgres/acts/acts.js";
import type { Notifier } from "../../../src/postgres/acts/notify.js";
import type { Connections } from "../../../src/postgres/connection/connections.js";
import type { Answer, Lane } from "../../../src/postgres/connection/lane.js";
import type { Parameter, Row } from "../../../src/postgres/connection/link.js";
import type { ActiveSession } from "../../../src/postgres/session/presence.js";
import type { Session } from "../../../src/postgres/session/session.js";
import type { SessionCheck } from "../../../src/postgres/session/session-check.js";
import { now } from "../../../src/runtime/clock.js";
import { ServerClock } from "../../../src/store/server-clock.js";
import { clock, settle } from "../manual-clock.js";

export interface Statement {
  readonly text: string;
  readonly parameters: readonly Parameter[];
  /** With the server's time, which is this process's wall clock. */
  answer(...rows: Row[]): Promise<void>;
  fail(error: unknown): Promise<void>;
}

export class FakeActs {
  readonly statements: Statement[] = [];
  readonly judged: boolean[] = [];
  /** The keys of whose next waiters other processes were told. */
  readonly told: string[] = [];
  readonly connections = { unconfirmedCommits: 0, commands: this.#lane(), renewals: this.#lane() };
  active: ActiveSession | null = { id: 7, nonce: "nonce", incarnation: 3 };
  readonly acts: Acts;

  constructor({ presence = true }: { presence?: boolean } = {}) {
    const of = (): ActiveSession | null => this.active;
    const session = {
      id: 7,
      presence: { formerIds: "{5}" },
      get active() {
        return of();
      },
    };
    this.acts = new Acts({
      connections: this.connections as unknown as Connections,
      session: presence ? (session as unknown as Session) : null,
      sessionCheck: {
        record: async (_: unknown, isSeen: boolean) => void this.judged.push(isSeen),
      } as unknown as SessionCheck,
      clock: new ServerClock(),
      notifier: { add: (keys: readonly string[]) => void this.told.push(...keys) } as unknown as Notifier,
      takeoverDelayMs: 5_000,
      toPublicError: (cause) =>
        cause instanceof UnavailableError ? cause : new UnavailableError({ outcome: "not-sent", cause }),
    });
  }

  /** Takes the oldest statement that was sent. */
  take(): Statement {
    const statement = this.statements.shift();
    if (statement === undefined) throw new Error("no statement was sent");
    return statement;
  }

  #lane(): Lane {
    const query = (text: string, parameters: readonly Parameter[]): Promise<Answer> => {
      const sentAt = now();
      return new Promise((resolve, reject) => {
        this.statements.push({
          text,
          parameters,
          answer: (...rows) => {
            resolve({ rows: rows.map((row) => ({ now: clock.wallMs, ...row })), sentAt, receivedAt: now() });
            return settle();
          },
          fail: (error) => {
            reject(error);
            return settle();
          },
        });
      });
    };
    return { query, read: query, keepsOrder: true } as unknown as Lane;
  }
}

export function serverError(code: string): Error {
  return Object.assign(new Error(`SQLSTATE ${code}`), { code, severity: "ERROR" });
}
