import {
  aliasedTableColumn,
  Column,
  type ColumnBaseConfig,
  getTableName,
  is,
  SQL,
  type SQLChunk,
  sql,
} from "drizzle-orm";
import { type PgColumn, PgDialect, type PgTable } from "drizzle-orm/pg-core";

/** A column that can hold a fence: of type bigint, best with `{ mode: "bigint" }`, for fences may pass 2^53. */
export type FenceColumn =
  | PgColumn<ColumnBaseConfig<"bigint", "PgBigInt64">>
  | PgColumn<ColumnBaseConfig<"number", "PgBigInt53">>;

/** The fence columns of one table. */
export type FenceColumnOf<Table extends PgTable> = Extract<
  Table["_"]["columns"][keyof Table["_"]["columns"]],
  FenceColumn
>;

/**
 * Makes a column keep the largest fence that its row was written with: an update that would lower it fails with SQLSTATE
 * LH006. Each write must set the column to its fence. Calling it again changes nothing. Takes the owner of the table.
 *
 * ```ts
 * await db.execute(fenceTable(accounts, accounts.fence));
 * ```
 * The statement has no parameters: `new PgDialect().sqlToQuery(fenceTable(...)).sql` is the text for a migration's file.
 */
export function fenceTable<Table extends PgTable>(table: Table, column: FenceColumnOf<Table>): SQL {
  return sql`select leasehold.fence_table(${nameOfTable(table)}, ${nameOfColumn(column)})`;
}

/** Removes the trigger that `fenceTable` added, if it is there. The column stays. */
export function unfenceTable<Table extends PgTable>(table: Table, column: FenceColumnOf<Table>): SQL {
  return sql`select leasehold.unfence_table(${nameOfTable(table)}, ${nameOfColumn(column)})`;
}

/**
 * Lets a table be written only in transactions that guard the key of the row (`lock.transaction`, `lock.guard`); other writes
 * fail with SQLSTATE LH005. `key` gives the lock's full key, prefix included: a text column, or an expression over columns
 * of the row. Calling it again changes the expression. Takes the owner of the table.
 *
 * ```ts
 * await db.execute(guardTable(accounts, sql`'account:' || ${accounts.id}`));
 * ```
 * With `shared` the guards of shares (`acquire` with `shared` or `capacity`) count, too: for tables in which those who share a key write rows of
 * their own. Else two of them could write the same row.
 */
export function guardTable(table: PgTable, key: SQL | PgColumn, options: GuardTableOptions = {}): SQL {
  const expression = quoted(sql`${withoutSchema(key)}`.inlineParams());
  const shared = options.shared === true ? sql`, shared => true` : sql``;
  return sql`select leasehold.guard_table(${nameOfTable(table)}, ${expression}${shared})`;
}

/** Options of `guardTable`. */
export interface GuardTableOptions {
  /** Whether the guard of a share counts. Default false. */
  readonly shared?: boolean | undefined;
}

/** Removes the trigger that `guardTable` added, if it is there. */
export function unguardTable(table: PgTable): SQL {
  return sql`select leasehold.unguard_table(${nameOfTable(table)})`;
}

/**
 * The condition of an update that no later grant has come before: true where the row's fence is not larger. The same holder may
 * write any number of times. An update that changes no row found the row gone, or the lock taken over.
 *
 * ```ts
 * const written = await db
 *   .update(accounts)
 *   .set({ balance: 5n, fence: lock.fence })
 *   .where(and(eq(accounts.id, 1), fencedBy(accounts.fence, lock)))
 *   .returning({ id: accounts.id });
 * if (written.length === 0) throw new Error("taken over");
 * ```
 * In an upsert it is the `setWhere`. `by` is a lock, or its fence.
 */
export function fencedBy(column: FenceColumn, by: bigint | { readonly fence: bigint }): SQL<boolean> {
  const fence = typeof by === "bigint" ? by : by.fence;
  const condition = sql<boolean>`${column} operator(pg_catalog.<=) ${String(fence)}::bigint`;
  // A row that nobody has fenced yet: without this it could never be written.
  return column.notNull ? condition : sql<boolean>`(${column} is null or ${condition})`;
}

function nameOfTable(table: PgTable): SQL {
  return sql`${quoted(sql`${table}`)}::pg_catalog.regclass`;
}

/** As the database of whoever runs it writes it, with the casing that this one was made with. */
function nameOfColumn(column: Column): SQL {
  return sql`(select name[pg_catalog.cardinality(name)] from pg_catalog.parse_ident(${quoted(sql`${column}`)}) as name)`;
}

/** Between quotes that are not in the text: a value or a name could end them otherwise. A casing adds none, it has letters only. */
function quoted(text: SQL): SQL {
  const written = new PgDialect().sqlToQuery(text).sql;
  let opening = "$leasehold";
  while (written.includes(opening)) opening += "_";
  const quote = sql.raw(`${opening}$`);
  return sql`${quote}${text}${quote}`;
}

/** The row that the trigger sees goes by its table's name, without the schema. */
function withoutSchema(chunk: SQLChunk): SQLChunk {
  if (is(chunk, Column)) return aliasedTableColumn(chunk, getTableName(chunk.table));
  if (is(chunk, SQL)) return new SQL(chunk.queryChunks.map(withoutSchema));
  return chunk;
}
