// call leasehold.acquire(...) on a connection of its own, which waits.
import type postgres from "postgres";
import { openSession, type Session } from "../fencing/session.js";
import type { TestDatabase } from "../support/database.js";

export interface Grant {
  readonly token: string;
  readonly fence: bigint;
  readonly expiresAt: Date;
}

/** `rest`: what follows the key, such as `, wait => '1 s'`. */
export async function callAcquire(sql: postgres.Sql, key: string, rest = ""): Promise<Grant> {
  const [row] = await sql.unsafe(`call leasehold.acquire('${key}'${rest})`);
  return { token: row?.token, fence: BigInt(row?.fence), expiresAt: row?.expires_at };
}

export interface WaitingCall extends AsyncDisposable {
  readonly session: Session;
  /** Null while it waits. */
  readonly grant: Grant | null;
  /** The grant, or the error. It rejects nothing by itself. */
  readonly ended: Promise<Grant | (Error & Record<"code" | "detail" | "hint", string>)>;
}

export async function startCall(where: TestDatabase | string, key: string, rest = ""): Promise<WaitingCall> {
  const session = await openSession(where);
  let grant: Grant | null = null;
  const ended = callAcquire(session.sql, key, rest).then(
    (given) => {
      grant = given;
      return given;
    },
    (error) => error,
  );
  return {
    session,
    get grant() {
      return grant;
    },
    ended,
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

export async function releaseInSql(sql: postgres.Sql, key: string, { token }: { token: string }): Promise<boolean> {
  const [row] = await sql`select leasehold.release(${key}, ${token}) as released`;
  return row?.released;
}
