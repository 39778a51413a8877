import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { printRows, readView } from "../view.js";
import { hotKeys } from "../views.js";

export const hot: Command = {
  name: "hot",
  summary: "list the keys that most had to wait for, in the last hour",
  usage: "[options]",
  notes:
    "Each process keeps its hundred hottest keys: CONTENDED was surely counted, and AT MOST is the most that it can be.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "The keys that most had to wait for", call: "leasehold hot" },
    { text: "For a script", call: "leasehold hot --json" },
  ],
  positionals: [],
  async run(args) {
    const rows = await withDatabase(args, (database) => readView(database, hotKeys));
    printRows(hotKeys, rows, args.has("json"));
    return SUCCESS;
  },
};
