import {
  askInOne,
  type Enter,
  hasMethods,
  inOne,
  membersOf,
  type Recognised,
  type Run,
  type Transact,
  type Unfit,
} from "./library.js";
import { listenForErrors } from "./node-postgres.js";

/** The shape of what `knex()` returns, and of its transactions. */
export interface KnexDatabase {
  transactionProvider(config?: never): () => Promise<unknown>;
  raw(query: string): unknown;
}

/** The shape of Knex's transaction. */
export interface KnexTransaction {
  isCompleted(): boolean;
  raw(query: string): unknown;
}

interface Knex {
  readonly client: Client;
  transaction(body: (trx: Knex) => Promise<unknown>, config: unknown): Promise<unknown>;
}

interface Client {
  readonly dialect?: unknown;
  /** In a transaction, always the same. */
  acquireConnection(): Promise<unknown>;
  query(connection: unknown, text: string): Promise<unknown>;
}

export function recogniseKnex(value: unknown): Recognised | Unfit | null {
  const members = typeof value === "function" ? membersOf(value) : null;
  if (members === null || !hasMethods(members, "transactionProvider", "raw")) return null;
  const knex = members as unknown as Knex;
  const { dialect } = knex.client;
  if (dialect !== "postgresql") return { why: `a Knex database for ${String(dialect ?? "no server")}` };
  const isOpen = hasMethods(members, "isCompleted") && !(value as KnexTransaction).isCompleted();
  return {
    transact: transact(knex),
    enter: isOpen ? enter(knex.client) : null,
    ask: isOpen ? askInOne(runOn(knex.client)) : null,
  };
}

/** In a transaction of Knex, a nested one: a savepoint. */
function transact(knex: Knex): Transact {
  return (guard, body, options) => {
    let stopListening = (): void => undefined;
    const work = async (trx: Knex) => {
      // Knex listens to the connections of its own pool, but not to those of a pool that it was given.
      stopListening = listenForErrors(await trx.client.acquireConnection());
      await guard.confirm(enter(trx.client)(guard.statements));
      return await body(trx);
    };
    // Knex changes the options that it is given.
    return knex.transaction(work, { ...(options as object | undefined) }).finally(() => stopListening());
  };
}

function enter(client: Client): Enter {
  return inOne(runOn(client));
}

/** Bypasses `postProcessResponse`, which must not see our answers. Knex refuses it once the transaction has ended. */
function runOn(client: Client): Run {
  return async (text) => await client.query(await client.acquireConnection(), text);
}
