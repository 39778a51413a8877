import type { Guard } from "./guard.js";
import { recogniseKnex } from "./knex.js";
import { recogniseKysely } from "./kysely.js";
import { hasMethods, membersOf, type Recognised, type Transact, type Unfit } from "./library.js";
import { notATransaction } from "./refusals.js";

/** The shape of MikroORM's `EntityManager` and `SqlEntityManager`. */
export interface MikroOrmManager {
  transactional(body: (em: unknown) => Promise<unknown>, options?: never): Promise<unknown>;
  fork(options?: never): unknown;
}

/** The shape of what `MikroORM.init` returns. */
export interface MikroOrm {
  readonly em: MikroOrmManager;
  isConnected(): Promise<boolean>;
}

interface Manager extends MikroOrmManager {
  getPlatform(): object;
  /** Of the transaction that is open here, or around this call: MikroORM keeps it in an AsyncLocalStorage. */
  getTransactionContext(): unknown;
}

export function recogniseMikroOrm(value: unknown): Recognised | Unfit | null {
  const members = membersOf(value);
  const em = hasMethods(members ?? {}, "isConnected") ? membersOf(members?.em) : members;
  if (em === null || !hasMethods(em, "transactional", "fork", "getTransactionContext", "getPlatform")) return null;
  const manager = em as unknown as Manager;
  const { name } = manager.getPlatform().constructor;
  if (/mysql|mariadb|sqlite|libsql|mssql|mongo|oracle/i.test(name)) {
    return { why: `a MikroORM database for another kind of server (${name})` };
  }
  const open = openIn(manager);
  return { transact: transact(manager), enter: open?.enter ?? null, ask: open?.ask ?? null };
}

/** The body's writes are flushed after it, in the same transaction. */
function transact(em: Manager): Transact {
  return (guard, body, options) => {
    const work = async (fork: Manager) => {
      await enter(guard, fork);
      return await body(fork);
    };
    // A copy, for MikroORM writes the outer transaction into it: a second use of the options would be in that one.
    return em.transactional(work as (em: unknown) => Promise<unknown>, { ...(options as object | undefined) } as never);
  };
}

/** There may be none: with `propagation: "not_supported"` the body runs without. */
async function enter(guard: Guard, em: Manager): Promise<void> {
  const open = openIn(em);
  if (open?.enter == null) throw notATransaction(guard);
  await guard.confirm(open.enter(guard.statements));
}

/** The transaction is one of Knex, and from MikroORM 7 on one of Kysely. */
function openIn(em: Manager): Recognised | null {
  const context = em.getTransactionContext();
  const open = recogniseKnex(context) ?? recogniseKysely(context);
  return open === null || "why" in open ? null : open;
}
