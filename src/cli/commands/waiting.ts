import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { printRows, readView } from "../view.js";
import { queuedWaiters } from "../views.js";

export const waiting: Command = {
  name: "waiting",
  summary: "list who waits for which key, and for whom",
  usage: "[key] [options]",
  options: { ...connectionOptions, ...jsonOption },
  positionals: ["[key]"],
  async run(args) {
    const [key] = args.positionals;
    const filter = key === undefined ? undefined : ({ column: "key", operator: "=", value: key } as const);
    const rows = await withDatabase(args, (database) => readView(database, queuedWaiters, filter));
    printRows(queuedWaiters, rows, args.has("json"));
    return SUCCESS;
  },
};
