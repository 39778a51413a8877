import { checkNames } from "../errors/option-checks.js";
import {
  askInTwo,
  type Enter,
  hasMethods,
  inOne,
  inTwo,
  membersOf,
  type Recognised,
  type Transact,
  type Unfit,
} from "./library.js";

/** The shape of TypeORM's `DataSource`. */
export interface TypeOrmDataSource {
  readonly manager: unknown;
  createQueryRunner(mode?: never): unknown;
}

/** The shape of TypeORM's `EntityManager`. */
export interface TypeOrmManager {
  readonly queryRunner?: unknown;
  transaction(isolationLevel: never, body: (manager: never) => Promise<unknown>): Promise<unknown>;
  preload(entityClass: never, entityLike: never): Promise<unknown>;
}

/** The shape of TypeORM's `QueryRunner`. */
export interface TypeOrmQueryRunner {
  readonly manager: unknown;
  readonly isTransactionActive: boolean;
  /** It has given its connection back, or lost it. */
  readonly isReleased: boolean;
  startTransaction(isolationLevel?: never): Promise<void>;
  query(text: string): Promise<unknown>;
}

/** What `lock.transaction` passes to `transaction` of TypeORM, which takes the level alone. */
export interface TypeOrmTransactionOptions<IsolationLevel> {
  readonly isolationLevel?: IsolationLevel | undefined;
}

interface Manager {
  readonly queryRunner?: TypeOrmQueryRunner | undefined;
  transaction(...isolationLevelAndBody: readonly unknown[]): Promise<unknown>;
}

export function recogniseTypeOrm(value: unknown): Recognised | Unfit | null {
  const found = managerOf(value);
  if (found === null) return null;
  const { manager, type } = found;
  if (!/postgres/.test(type)) return { why: `a DataSource of TypeORM for ${type}` };
  const { queryRunner } = manager;
  const isOpen = queryRunner !== undefined && !queryRunner.isReleased;
  // TypeORM opens a transaction on the connection that a manager has, within one that is open by a savepoint.
  return {
    transact: transact(manager, type),
    enter: isOpen ? enter(queryRunner, type) : null,
    // Of a message with several statements TypeORM gives no rows.
    ask: isOpen ? askInTwo((text) => queryRunner.query(text)) : null,
  };
}

/** The manager of a DataSource or of a QueryRunner, or the manager itself. */
function managerOf(value: unknown): { readonly manager: Manager; readonly type: string } | null {
  const members = membersOf(value);
  if (members === null) return null;
  const isRunner = hasMethods(members, "createQueryRunner") || hasMethods(members, "startTransaction", "query");
  const manager = membersOf(isRunner ? members.manager : members);
  if (manager === null || !hasMethods(manager, "transaction", "preload")) return null;
  // `connection` is its name before 1.0, where reading it warns.
  const dataSource = membersOf(manager.dataSource ?? manager.connection);
  const type = membersOf(dataSource?.options)?.type;
  return typeof type === "string" ? { manager: manager as unknown as Manager, type } : null;
}

function transact(manager: Manager, type: string): Transact {
  return (guard, body, options) => {
    const { isolationLevel } = checkNames("the transaction's options", options, ["isolationLevel"]);
    const work = async (tx: Manager & { readonly queryRunner: TypeOrmQueryRunner }) => {
      await guard.confirm(enter(tx.queryRunner, type)(guard.statements));
      return await body(tx);
    };
    return isolationLevel === undefined ? manager.transaction(work) : manager.transaction(isolationLevel, work);
  };
}

/** Over node-postgres, which takes two statements at once. Aurora's data API takes one. */
function enter(queryRunner: TypeOrmQueryRunner, type: string): Enter {
  const run = (text: string) => queryRunner.query(text);
  return type === "postgres" ? inOne(run) : inTwo(run);
}
