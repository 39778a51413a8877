import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { printRows, readView } from "../view.js";
import { liveSessions } from "../views.js";

export const sessions: Command = {
  name: "sessions",
  summary: "list the processes that hold locks",
  usage: "[options]",
  options: { ...connectionOptions, ...jsonOption },
  positionals: [],
  async run(args) {
    const rows = await withDatabase(args, (database) => readView(database, liveSessions));
    printRows(liveSessions, rows, args.has("json"));
    return SUCCESS;
  },
};
