import { UnsafeBackendError } from "../errors.js";
import type { Hello } from "./connect.js";
import type { Link } from "./link.js";

/** A direct connection announces its own pid when it opens; most poolers announce one that they made up. */
const ROUNDS = 3;
const SUSPICIOUS_ROUNDS = 25;

interface Options {
  readonly link: Link;
  readonly hello: Hello;
  readonly session: { readonly id: number; readonly nonce: string };
  /** Opens another connection to the same address. */
  readonly connect: () => Promise<Link>;
  /** When it fires, the other connections are cut: one that waits for a pooler's backend would wait for ever. */
  readonly signal: AbortSignal;
}

/**
 * Whether the session's connection keeps its backend, asked while others sit in open transactions and take what a
 * transaction pooler has to give. Asking once missed PgBouncer in 43 of 60 runs.
 * @throws UnsafeBackendError
 */
export async function refusePooler({ link, hello, session, connect, signal }: Options): Promise<void> {
  const isSuspicious = hello.announcedPid !== hello.pid;
  const others: Link[] = [];
  const cutOthers = (): void => {
    for (const other of others) {
      other.destroy();
    }
  };
  signal.addEventListener("abort", cutOthers, { once: true });
  try {
    for (let round = 0; round < (isSuspicious ? SUSPICIOUS_ROUNDS : ROUNDS); round += 1) {
      // The first round is over before another connection is opened: most setups need no more.
      if (others.length < 2) {
        others.push(await connect());
      }
      await Promise.all(others.map((other) => other.query("begin; select pg_backend_pid()")));
      const [row] = await link.query("select * from leasehold_internal.heartbeat($1::int, $2::uuid)", [
        session.id,
        session.nonce,
      ]);
      await Promise.all(others.map((other) => other.query("rollback")));
      if (row?.alive !== true || Number(row.pid) !== hello.pid) {
        throw new UnsafeBackendError({
          problem:
            "The session's connection goes through a transaction pooler: its backend changes, and locks taken on it protect nothing",
          remedy: 'Give the direct address of Postgres as directUrl, or set presence: "off"',
        });
      }
    }
  } finally {
    signal.removeEventListener("abort", cutOthers);
    cutOthers();
  }
}
