import type { Arguments } from "./arguments.js";
import { withDatabases } from "./database.js";
import { FAILURE, SUCCESS } from "./exit-codes.js";
import { type Data, type Filter, readView, type View, type ViewColumn } from "./view.js";

const instanceColumn: ViewColumn = { name: "instance", kind: "text", heading: "INSTANCE" };

/** What a view has in all databases that the command is for. */
export interface Found {
  /** The view; with instances their names are its first column. */
  readonly view: View;
  readonly rows: readonly Data[];
  readonly hasInstances: boolean;
  /** FAILURE when an instance could not be asked, which was told. */
  readonly exitCode: number;
}

/** Reads a view in each instance, or in the one database where there are none. */
export async function readAll(args: Arguments, command: string, view: View, filter?: Filter): Promise<Found> {
  const read = withDatabases(args, command, (database) => readView(database, view, filter));
  const { answers, isComplete } = await read;
  const hasInstances = answers[0]?.instance !== null;
  const empty = isComplete ? view.empty : "There is nothing on the instances that have answered.";
  const rows = answers.flatMap(({ instance, value }) =>
    instance === null ? value : value.map((row) => ({ instance, ...row })),
  );
  return {
    view: hasInstances ? { ...view, empty, columns: [instanceColumn, ...view.columns] } : view,
    rows,
    hasInstances,
    exitCode: isComplete ? SUCCESS : FAILURE,
  };
}
