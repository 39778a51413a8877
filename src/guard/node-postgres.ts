import { InvalidOptionError, UnsupportedError } from "../errors/errors.js";
import { checkBoolean, checkNames, checkOneOf } from "../errors/option-checks.js";
import { processWide } from "../runtime/process-wide.js";
import type { Guard } from "./guard.js";
import { askInOne, hasMethods, inOne, membersOf, type Recognised, type Transact } from "./library.js";
import { alreadyOpen } from "./refusals.js";

/** The shape of a `Client` of node-postgres, or of a client of its pool. */
export interface NodePostgresClient {
  query(text: string): Promise<{ readonly command: string }>;
  on(event: "notice", listener: (notice: { readonly code?: string | undefined }) => void): unknown;
  off(event: "notice", listener: (notice: { readonly code?: string | undefined }) => void): unknown;
  getTypeParser: unknown;
  /** Since 8.19, but not in the native client. `T` and `E`: a transaction is open. */
  getTransactionStatus?(): unknown;
}

/** The shape of a `Pool` of node-postgres. */
export interface NodePostgresPool {
  // Both overloads: the compiler finds the client's type in the first.
  /** Takes a client out of the pool. */
  connect: { (): Promise<NodePostgresPoolClient>; (use: never): void };
  /** How many clients it has. */
  readonly totalCount: number;
  /** How many of them are not in use. */
  readonly idleCount: number;
  /** How many calls wait for one. */
  readonly waitingCount: number;
}

interface NodePostgresPoolClient extends NodePostgresClient {
  release(destroy?: boolean): void;
}

/** How `lock.transaction` begins a transaction on node-postgres, which has no options of its own. Default: the server's. */
export interface NodePostgresTransactionOptions {
  /** Default: the database's, `read committed` mostly. */
  readonly isolationLevel?: "read uncommitted" | "read committed" | "repeatable read" | "serializable" | undefined;
  /** Default: the database's. `read only` cannot be guarded, for Postgres locks no rows there. */
  readonly accessMode?: "read only" | "read write" | undefined;
  /** For `serializable`, as in SQL. Default false. */
  readonly deferrable?: boolean | undefined;
}

export function recogniseNodePostgres(value: unknown): Recognised | null {
  const members = membersOf(value);
  if (members === null || !hasMethods(members, "connect", "query", "on")) return null;
  if (typeof members.totalCount === "number" && typeof members.waitingCount === "number") {
    return {
      transact: transactOnPool(members as unknown as NodePostgresPool),
      enter: null,
      ask: null,
      client: members,
    };
  }
  if (!hasMethods(members, "getTypeParser")) return null;
  const client = members as unknown as NodePostgresClient;
  const run = (text: string) => client.query(text);
  return {
    transact: (guard, body, options) => transact(client, guard, body, beginWith(options)),
    enter: inOne(run),
    ask: askInOne(run),
  };
}

function transactOnPool(pool: NodePostgresPool): Transact {
  return async (guard, body, options) => {
    const begin = beginWith(options);
    const client = await pool.connect();
    let isBroken = false;
    try {
      return await transact(client, guard, body, begin, () => {
        isBroken = true;
      });
    } finally {
      client.release(isBroken);
    }
  };
}

async function transact(
  client: NodePostgresClient,
  guard: Guard,
  body: (tx: unknown) => unknown,
  begin: string,
  onBroken?: () => void,
): Promise<unknown> {
  return await alone(client, guard, async () => {
    const stopListening = listenForErrors(client);
    try {
      await open(client, guard, begin, onBroken);
      return await finish(client, body, onBroken);
    } finally {
      stopListening();
    }
  });
}

/** Clients in a transaction of ours, whichever copy of this package opened it. */
const busy = processWide("busy-clients", () => new WeakSet<object>());

/**
 * Runs `work`, which opens a transaction on the client, unless one is open there. For Postgres the two would be one
 * transaction, and after the first commit the other would write without a transaction, unguarded.
 */
export async function alone<Value>(
  client: Pick<NodePostgresClient, "getTransactionStatus">,
  guard: Guard,
  work: () => PromiseLike<Value>,
): Promise<Value> {
  if (busy.has(client) || /[TE]/.test(String(client.getTransactionStatus?.() ?? ""))) throw alreadyOpen(guard);
  busy.add(client);
  try {
    return await work();
  } finally {
    busy.delete(client);
  }
}

/**
 * Ignores the client's error events. Nobody listens to a client that was taken from a pool, so it would end the process
 * if the server ended its connection between two statements, after `guardTimeoutMs` for example. The next statement
 * fails anyway. Returns a function that removes the listener.
 */
export function listenForErrors(client: unknown): () => void {
  const members = membersOf(client);
  if (members === null || !hasMethods(members, "on", "off")) return () => undefined;
  const emitter = client as NodeJS.EventEmitter;
  const ignore = (): void => undefined;
  emitter.on("error", ignore);
  return () => void emitter.off("error", ignore);
}

/** Runs the body, then commits. Rolls back if either fails. */
async function finish(
  client: NodePostgresClient,
  body: (tx: unknown) => unknown,
  onBroken?: () => void,
): Promise<unknown> {
  try {
    const value = await body(client);
    const { command } = await client.query("commit");
    if (command === "ROLLBACK") throw nothingCommitted();
    return value;
  } catch (error) {
    await rollBack(client, onBroken);
    throw error;
  }
}

/** Begins and guards in one message, so that the guard costs no extra round trip. */
async function open(client: NodePostgresClient, guard: Guard, begin: string, onBroken?: () => void): Promise<void> {
  // "There is already a transaction in progress": it is the caller's, and our commit would end it.
  let isCallers = false;
  const listen = ({ code }: { readonly code?: string | undefined }) => {
    isCallers ||= code === "25001";
  };
  client.on("notice", listen);
  try {
    await guard.confirm(client.query(`${begin}; ${guard.statements.guard}`));
  } catch (error) {
    if (!isCallers) await rollBack(client, onBroken);
    throw error;
  } finally {
    client.off("notice", listen);
  }
  if (isCallers) throw alreadyOpen(guard);
}

/** Never throws, so that the original error is reported. A connection that fails even here must not go back to the pool. */
async function rollBack(client: NodePostgresClient, onBroken?: () => void): Promise<void> {
  try {
    await client.query("rollback");
  } catch {
    onBroken?.();
  }
}

function beginWith(options: unknown): string {
  const given = checkNames("the transaction's options", options, ["isolationLevel", "accessMode", "deferrable"]);
  const { isolationLevel, accessMode, deferrable } = given;
  const modes: string[] = [];
  if (isolationLevel !== undefined) {
    const levels = ["read uncommitted", "read committed", "repeatable read", "serializable"] as const;
    modes.push(`isolation level ${checkOneOf("isolationLevel", isolationLevel, levels)}`);
  }
  if (accessMode !== undefined) modes.push(checkAccessMode(accessMode));
  if (deferrable !== undefined) modes.push(checkBoolean("deferrable", deferrable) ? "deferrable" : "not deferrable");
  return `begin ${modes.join(", ")}`;
}

/** If a statement has failed, Postgres answers a commit with "rollback", and reports success. */
function nothingCommitted(): UnsupportedError {
  return new UnsupportedError({
    message:
      "The transaction was rolled back: a statement in it had failed, and the body went on as if nothing had happened. Let the body throw, or use a savepoint around what may fail.",
  });
}

/** A guard locks the lease's row. */
function checkAccessMode(value: unknown): string {
  if (value === "read only") {
    const expected = "a transaction that may write, for Postgres locks no rows in one that is read only";
    throw new InvalidOptionError({ option: "accessMode", expected, received: value });
  }
  return checkOneOf("accessMode", value, ["read write"]);
}
