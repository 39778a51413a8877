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

/** The shape of a `Sequelize` instance. */
export interface SequelizeDatabase {
  transaction(options?: never): Promise<unknown>;
  authenticate(options?: never): Promise<unknown>;
}

/** The shape of Sequelize's transaction. */
export interface SequelizeTransaction {
  readonly LOCK: unknown;
  afterCommit(body: never): unknown;
}

interface Sequelize {
  transaction(options: object, body: (tx: Transaction) => Promise<unknown>): Promise<unknown>;
  query(text: string, options: object): Promise<unknown>;
  getDialect(): string;
}

interface Transaction {
  readonly sequelize: Sequelize;
  /** Set when it has been committed or rolled back. */
  readonly finished?: unknown;
}

export function recogniseSequelize(value: unknown): Recognised | Unfit | null {
  const members = membersOf(value);
  if (members === null) return null;
  if (hasMethods(members, "afterCommit", "rollback") && membersOf(members.sequelize) !== null) {
    const tx = members as unknown as Transaction;
    const isOpen = tx.finished === undefined;
    return { transact: null, enter: isOpen ? enter(tx) : null, ask: isOpen ? askInOne(runOn(tx)) : null };
  }
  if (!hasMethods(members, "transaction", "authenticate", "getDialect", "query")) return null;
  const sequelize = members as unknown as Sequelize;
  const dialect = sequelize.getDialect();
  if (dialect !== "postgres") return { why: `a Sequelize database for ${dialect}` };
  return { transact: transact(sequelize), enter: null, ask: null };
}

/** With a callback, so that `Sequelize.useCLS` works in the body, too. */
function transact(sequelize: Sequelize): Transact {
  return (guard, body, options) =>
    sequelize.transaction({ ...(options as object | undefined) }, async (tx) => {
      await guard.confirm(enter(tx)(guard.statements));
      return await body(tx);
    });
}

function enter(transaction: Transaction): Enter {
  return inOne(runOn(transaction));
}

/** `raw`, because there is nothing to make models of. Without replacements the text is sent as it is. */
function runOn(transaction: Transaction): Run {
  return (text) => transaction.sequelize.query(text, { transaction, raw: true });
}
