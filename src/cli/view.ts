import { milliseconds } from "../postgres/connection/exact-times.js";
import type { Row } from "../postgres/connection/link.js";
import type { Database } from "./database.js";
import { formatDuration, formatTime } from "./duration.js";
import { writeJson, writeOut } from "./output.js";
import { printable } from "./printable.js";
import { styleFor, widthFor } from "./style.js";
import { type TableColumn, type TableOptions, tableLines } from "./table.js";
import { viewColumns } from "./view-columns.generated.js";

/** How a column is read and shown. */
export type Kind = "text" | "number" | "boolean" | "time" | "duration" | "json";

/** How a column looks in a table. */
interface Look {
  readonly heading?: string;
  readonly isElastic?: boolean;
  /** The column is left out of a table in which no row has a value. */
  readonly isRare?: boolean;
  /** This counts as no value then. */
  readonly usual?: string;
}

/** A column without a heading appears only in the JSON. */
export interface ViewColumn extends Look {
  readonly name: string;
  readonly kind: Kind;
}

interface Presentation {
  /** As SQL writes it. */
  readonly orderBy: string;
  /** What to print when there are no rows. */
  readonly empty: string;
}

/** One of the views of the schema `leasehold`, as the command line shows it. */
export interface View extends Presentation {
  readonly name: string;
  readonly columns: readonly ViewColumn[];
}

type ViewName = keyof typeof viewColumns;
type Looks<Name extends ViewName> = { readonly [Column in keyof (typeof viewColumns)[Name]]?: Look };

/** Makes a View with all columns that the database view has. `table`: the columns that its table shows. */
export function view<Name extends ViewName>(
  name: Name,
  { table, ...presentation }: Presentation & { readonly table: Looks<Name> },
): View {
  const looks: Readonly<Record<string, Look | undefined>> = table;
  const columns = Object.entries(viewColumns[name]).map(([column, type]) => ({
    name: column,
    kind: kindOf(type),
    ...looks[column],
  }));
  return { name, columns, ...presentation };
}

function kindOf(sqlType: string): Kind {
  switch (sqlType) {
    case "integer":
    case "bigint":
      return "number";
    case "boolean":
      return "boolean";
    case "timestamp with time zone":
      return "time";
    case "interval":
      return "duration";
    case "jsonb":
      return "json";
    default:
      return sqlType.endsWith("[]") ? "json" : "text";
  }
}

export interface Filter {
  readonly column: string;
  /** `matches`: the value is a pattern as `like` reads it. */
  readonly operator: keyof typeof conditions;
  readonly value: string;
}

/** As SQL. None depends on search_path. */
const conditions = {
  "=": (column: string) => `${column} operator(pg_catalog.=) $1::pg_catalog.text`,
  "starts with": (column: string) => `pg_catalog.starts_with(${column}, $1::pg_catalog.text)`,
  matches: (column: string) => `${column} operator(pg_catalog.~~) $1::pg_catalog.text`,
} as const;

/** A row of a view as data: times in ISO form, durations in milliseconds, fences as decimal strings. */
export type Data = Readonly<Record<string, unknown>>;

/** Reads a view. Durations get the suffix `_ms`. */
export async function readView(
  database: Database,
  view: View,
  filter?: Filter,
  limit?: number,
): Promise<readonly Data[]> {
  const list = view.columns.map(({ name, kind }) => `${expression(kind, `v.${name}`)} as ${name}`).join(", ");
  const where = filter === undefined ? "" : ` where ${conditions[filter.operator](`v.${filter.column}`)}`;
  const rows = await database.query(
    `select ${list} from leasehold.${view.name} v${where} order by ${view.orderBy}${limit === undefined ? "" : ` limit ${limit}`}`,
    filter === undefined ? [] : [filter.value],
    "monitoring",
  );
  return rows.map((row) => toData(view, row));
}

function expression(kind: Kind, column: string): string {
  if (kind === "duration") return milliseconds(column);
  return kind === "json" ? `pg_catalog.to_jsonb(${column})` : column;
}

function toData({ columns }: View, row: Row): Data {
  return Object.fromEntries(
    columns.map((column) => {
      const value = row[column.name];
      if (column.kind === "duration") return [nameOf(column), value === null ? null : Math.round(Number(value))];
      return [column.name, value instanceof Date ? value.toISOString() : value];
    }),
  );
}

/** The name of a column in the data. */
export function nameOf({ name, kind }: Pick<ViewColumn, "name" | "kind">): string {
  return kind === "duration" ? `${name}_ms` : name;
}

/** Prints rows as a table, or as JSON. */
export function printRows(view: View, rows: readonly Data[], isJson: boolean): void {
  const options = { width: widthFor(process.stdout), style: styleFor(process.stdout) };
  if (isJson) writeJson(rows);
  else if (rows.length === 0) writeOut(`${view.empty}\n`);
  else writeOut(`${viewLines(view, rows, options).join("\n")}\n`);
}

export function viewLines(view: View, rows: readonly Data[], options: TableOptions): string[] {
  const hasValue = (column: ViewColumn): boolean =>
    rows.some((row) => ![null, undefined, column.usual].includes(row[nameOf(column)] as string | null | undefined));
  const shown = view.columns.filter((column) => column.heading !== undefined && (!column.isRare || hasValue(column)));
  const columns = shown.map(
    ({ heading = "", kind, isElastic = false }): TableColumn => ({
      heading,
      isElastic,
      isRight: kind === "number" || kind === "duration",
    }),
  );
  return tableLines(
    columns,
    rows.map((row) => shown.map((column) => cell(column, row))),
    options,
  );
}

/** A value as text for people. */
export function cell(column: ViewColumn, row: Data): string {
  const value = row[nameOf(column)];
  if (value === null || value === undefined) return "-";
  switch (column.kind) {
    case "duration":
      return formatDuration(Number(value));
    case "boolean":
      return value === true ? "yes" : "no";
    case "json":
      return JSON.stringify(value);
    case "time":
      return formatTime(new Date(String(value)));
    default:
      return String(value);
  }
}

/** One row in detail, with a line for each column. */
export function listing(view: View, row: Data): string[] {
  const width = Math.max(...view.columns.map(({ name }) => name.length));
  return view.columns.map((column) => `${column.name.padEnd(width)}  ${printable(cell(column, row))}`);
}
